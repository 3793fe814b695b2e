//! What gpg says about an operation in its status lines (doc/DETAILS in the GnuPG sources), and which
//! of our errors that is.
//!
//! gpgme condenses these lines into one code, which is too little: gpg calls a wrong passphrase, a
//! missing key and an agent without a pinentry all "no secret key". It also takes a gpg that was
//! killed while encrypting for one that finished.

use zeroize::Zeroizing;

use super::error::{AgentTrouble, CryptoError, KeyName, SealDamage, UnusableReason};
use super::passphrases::PassphraseFor;

/// Codes of libgpg-error that are told apart.
mod code {
    pub(super) const BAD_PASSPHRASE: u32 = 11;
    pub(super) const NO_SECKEY: u32 = 17;
    pub(super) const INV_PASSPHRASE: u32 = 31;
    pub(super) const TIMEOUT: u32 = 62;
    pub(super) const NO_AGENT: u32 = 77;
    pub(super) const AGENT: u32 = 78;
    pub(super) const NO_PIN_ENTRY: u32 = 85;
    pub(super) const PIN_ENTRY: u32 = 86;
    pub(super) const BAD_PIN: u32 = 87;
    pub(super) const CANCELED: u32 = 99;
    pub(super) const PIN_BLOCKED: u32 = 130;
    pub(super) const INV_ENGINE: u32 = 150;
    pub(super) const NO_PASSPHRASE: u32 = 177;
    pub(super) const FULLY_CANCELED: u32 = 198;
}

const KEYWORDS: [&str; 26] = [
    "BADMDC",
    "BADSIG",
    "BEGIN_DECRYPTION",
    "DECRYPTION_FAILED",
    "DECRYPTION_OKAY",
    "ENC_TO",
    "END_ENCRYPTION",
    "ERROR",
    "ERRSIG",
    "EXPKEYSIG",
    "EXPSIG",
    "FAILURE",
    "GOODSIG",
    "INV_RECP",
    "INV_SGNR",
    "NEED_PASSPHRASE",
    "NEED_PASSPHRASE_PIN",
    "NEED_PASSPHRASE_SYM",
    "NEWSIG",
    "NODATA",
    "PLAINTEXT",
    "REVKEYSIG",
    "SESSION_KEY",
    "SIG_CREATED",
    "USERID_HINT",
    "VALIDSIG",
];

/// What the status lines of one operation said so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What it means that gpg had nobody to ask, where nobody was to be asked.
    pub(super) unasked: Option<AgentTrouble>,
    /// What gpg needs a passphrase for next.
    pub(super) needs: Option<PassphraseFor>,
    /// The session key, if gpg was asked for it.
    pub(super) session_key: Option<SessionKey>,
    user_id_hint: Option<(String, String)>,
    recipients: Vec<String>,
    codes: Vec<u32>,
    invalid: Vec<(u32, String)>,
    signatures: Vec<SignatureFact>,
    has_begun_decryption: bool,
    has_plaintext: bool,
    has_no_data: bool,
    has_failed: bool,
    is_decrypted: bool,
    is_encrypted: bool,
    is_signed: bool,
}

/// What the data of a file are encrypted with.
pub(super) struct SessionKey {
    /// The algorithm (RFC 4880, 9.2).
    pub(super) algorithm: u8,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl SessionKey {
    /// From `ALGORITHM:HEXDIGITS`, or `ALGORITHM.MODE:HEXDIGITS` where each part of the data has a checksum.
    fn parse(text: &str) -> Option<Self> {
        let (algorithm, digits) = text.split_once(':')?;
        let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
        for pair in digits.as_bytes().chunks(2) {
            key.push(u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?);
        }
        let algorithm = algorithm.split('.').next()?.parse().ok()?;
        Some(Self { algorithm, key })
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// One signature that gpg looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SignatureFact {
    pub(super) verdict: Verdict,
    /// Long id of the key, or its fingerprint where gpg tells it.
    pub(super) key: String,
    /// Fingerprint of the primary key.
    pub(super) primary: Option<String>,
    pub(super) user_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Right, but the signature or its key has expired since.
    Expired,
    /// Right, but the key is revoked.
    Revoked,
    Bad,
    /// The key is not in the keyring.
    NoKey,
    /// It could not be checked.
    #[default]
    Unchecked,
}

impl Facts {
    /// Whether the word is a keyword that [`Facts::note`] takes in.
    pub(super) fn knows(word: &str) -> bool {
        KEYWORDS.contains(&word)
    }

    /// Takes in one status line.
    pub(super) fn note(&mut self, keyword: &str, arguments: &str) {
        let mut words = arguments.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        match keyword {
            "USERID_HINT" => {
                self.user_id_hint = arguments.split_once(' ').map(|(id, name)| (id.into(), name.into()))
            }
            "NEED_PASSPHRASE" => {
                let (subkey, primary) = (word(), word());
                let user_id =
                    self.user_id_hint.as_ref().filter(|hint| hint.0 == subkey).map(|hint| hint.1.clone());
                let id = if primary.is_empty() { subkey } else { primary };
                self.needs = Some(PassphraseFor::Key { id, user_id });
            }
            "NEED_PASSPHRASE_PIN" => {
                let (_, _, serial) = (word(), word(), word());
                self.needs = Some(PassphraseFor::Key { id: serial, user_id: None });
            }
            "NEED_PASSPHRASE_SYM" => self.needs = Some(PassphraseFor::Archive),
            "SESSION_KEY" => self.session_key = SessionKey::parse(arguments),
            "ENC_TO" => self.recipients.push(word()),
            "ERROR" | "FAILURE" => {
                let (_, number) = (word(), word());
                let digits =
                    number.split(|character: char| !character.is_ascii_digit()).next().unwrap_or_default();
                // The upper half says which library; the lower one is the code.
                if let Ok(number) = digits.parse::<u32>() {
                    self.codes.push(number & 0xffff);
                }
            }
            "INV_RECP" | "INV_SGNR" => {
                let (reason, key) = (word(), word());
                self.invalid.push((reason.parse().unwrap_or_default(), key));
            }
            "NODATA" => self.has_no_data = true,
            "BEGIN_DECRYPTION" => self.has_begun_decryption = true,
            "PLAINTEXT" => self.has_plaintext = true,
            "DECRYPTION_OKAY" => self.is_decrypted = true,
            "DECRYPTION_FAILED" | "BADMDC" => self.has_failed = true,
            "END_ENCRYPTION" => self.is_encrypted = true,
            "SIG_CREATED" => self.is_signed = true,
            "NEWSIG" => self.signatures.push(SignatureFact::default()),
            "GOODSIG" => self.verdict(Verdict::Good, arguments),
            "EXPSIG" | "EXPKEYSIG" => self.verdict(Verdict::Expired, arguments),
            "REVKEYSIG" => self.verdict(Verdict::Revoked, arguments),
            "BADSIG" => self.verdict(Verdict::Bad, arguments),
            "ERRSIG" => {
                let fields: Vec<&str> = arguments.split(' ').collect();
                let verdict = if fields.get(5) == Some(&"9") { Verdict::NoKey } else { Verdict::Unchecked };
                self.verdict(verdict, fields.first().copied().unwrap_or_default());
            }
            "VALIDSIG" => {
                let fields: Vec<&str> = arguments.split(' ').collect();
                if let (Some(signature), Some(key)) = (self.signatures.last_mut(), fields.first()) {
                    signature.key = (*key).to_owned();
                    signature.primary = fields.get(9).map(|primary| (*primary).to_owned());
                }
            }
            _ => {}
        }
    }

    fn verdict(&mut self, verdict: Verdict, arguments: &str) {
        let (key, user_id) = match arguments.split_once(' ') {
            Some((key, user_id)) => (key, Some(user_id.to_owned())),
            None => (arguments, None),
        };
        // gpg before 2.2 announces no signature.
        if self.signatures.last().is_none_or(|last| !last.key.is_empty()) {
            self.signatures.push(SignatureFact::default());
        }
        if let Some(last) = self.signatures.last_mut() {
            *last = SignatureFact { verdict, key: key.to_owned(), primary: None, user_id };
        }
    }

    /// The signatures in the file.
    pub(super) fn signatures(&self) -> &[SignatureFact] {
        &self.signatures
    }

    /// Whether the whole file was decrypted and its checksum is right.
    pub(super) fn is_decrypted(&self) -> bool {
        self.is_decrypted && !self.has_failed
    }

    /// Whether gpg says that it wrote everything.
    pub(super) fn is_sealed(&self, with_signature: bool) -> bool {
        self.is_encrypted && (self.is_signed || !with_signature)
    }

    /// Whether gpg ended with a complaint.
    pub(super) fn has_complaint(&self) -> bool {
        !self.codes.is_empty()
    }

    /// Whether a signature was made.
    pub(super) fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Whether gpg failed over a passphrase that is wrong or empty.
    pub(super) fn is_passphrase_wrong(&self) -> bool {
        let wrong = [code::BAD_PASSPHRASE, code::BAD_PIN, code::INV_PASSPHRASE, code::NO_PASSPHRASE];
        // An agent that cannot ask is followed by a complaint about the passphrase, too.
        !self.is_decrypted && self.agent_error().is_none() && self.has_code(&wrong)
    }

    /// What went wrong while sealing or signing.
    pub(super) fn seal_error(&self, gpgme: gpgme::Error) -> CryptoError {
        // Without an agent a signer is invalid, too.
        if let Some(error) = self.agent_error() {
            return error;
        }
        if let Some((reason, key)) = self.invalid.first() {
            return invalid_key(*reason, KeyName::id(key));
        }
        self.other(gpgme)
    }

    /// What went wrong while opening. Wrong passphrases have been dealt with already.
    pub(super) fn open_error(&self, gpgme: gpgme::Error) -> CryptoError {
        if let Some(bad) = self.signatures.iter().find(|signature| signature.verdict == Verdict::Bad) {
            return CryptoError::BadSignature { key: bad.name() };
        }
        if let Some(error) = self.agent_error() {
            return error;
        }
        if self.has_code(&[code::NO_SECKEY]) {
            return CryptoError::MissingSecretKey { keys: self.recipients.iter().map(KeyName::id).collect() };
        }
        let engine = gpgme.code() & 0xffff;
        if engine == code::INV_ENGINE {
            return CryptoError::GpgMissing;
        }
        if self.is_decrypted() {
            return self.other(gpgme);
        }
        if self.has_begun_decryption && !self.has_failed && self.codes.is_empty() {
            return CryptoError::Other("gpg stopped before the file was whole".to_owned());
        }
        if self.has_begun_decryption {
            return CryptoError::Damaged(SealDamage::Altered);
        }
        // Cut off between the packets that name the recipients and the data.
        if !self.recipients.is_empty() || self.needs.is_some() {
            return CryptoError::Damaged(SealDamage::Altered);
        }
        if self.has_plaintext && !self.has_no_data {
            return CryptoError::Damaged(SealDamage::NotEncrypted);
        }
        CryptoError::Damaged(SealDamage::NotOpenPgp)
    }

    fn agent_error(&self) -> Option<CryptoError> {
        // gpg adds a cancel to every other trouble.
        let trouble = if self.has_code(&[code::PIN_BLOCKED]) {
            AgentTrouble::PinBlocked
        } else if let Some(unasked) = self.unasked.filter(|_| self.has_code(&[code::NO_PIN_ENTRY])) {
            unasked
        } else if self.has_code(&[code::NO_PIN_ENTRY, code::PIN_ENTRY]) {
            AgentTrouble::NoPinentry
        } else if self.has_code(&[code::NO_AGENT, code::AGENT]) {
            AgentTrouble::Unreachable
        } else if self.has_code(&[code::TIMEOUT]) {
            AgentTrouble::TimedOut
        } else if self.has_code(&[code::CANCELED, code::FULLY_CANCELED]) {
            AgentTrouble::Declined
        } else {
            return None;
        };
        Some(CryptoError::AgentLocked(trouble))
    }

    fn other(&self, gpgme: gpgme::Error) -> CryptoError {
        if gpgme.code() & 0xffff == code::INV_ENGINE {
            return CryptoError::GpgMissing;
        }
        // gpg's own code says more than what gpgme makes of it.
        let told = self.codes.iter().copied().find(|code| *code > 1 && *code != 0xffff);
        let text = told.map_or(gpgme, gpgme::Error::from_code).description().into_owned();
        CryptoError::Other(text)
    }

    fn has_code(&self, wanted: &[u32]) -> bool {
        self.codes.iter().any(|code| wanted.contains(code))
    }
}

impl SignatureFact {
    pub(super) fn name(&self) -> KeyName {
        KeyName { id: self.key.clone(), user_id: self.user_id.clone() }
    }
}

/// Reasons of INV_RECP and INV_SGNR, doc/DETAILS.
fn invalid_key(reason: u32, key: KeyName) -> CryptoError {
    let unusable = |reason| CryptoError::UnusableKey { key: key.clone(), reason };
    match reason {
        1 => CryptoError::MissingPublicKey { key },
        2 | 13 => unusable(UnusableReason::Ambiguous),
        4 => CryptoError::RevokedKey { key },
        5 => CryptoError::ExpiredKey { key },
        9 => CryptoError::MissingSecretKey { keys: vec![key] },
        11 => unusable(UnusableReason::Disabled),
        _ => unusable(UnusableReason::Invalid),
    }
}

/// An error from before gpg said anything.
pub(super) fn plain(error: gpgme::Error) -> CryptoError {
    Facts::default().other(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lines: &str) -> Facts {
        let mut facts = Facts::default();
        for line in lines.lines().map(str::trim) {
            let (keyword, arguments) = line.split_once(' ').unwrap_or((line, ""));
            facts.note(keyword, arguments);
        }
        facts
    }

    fn opened(lines: &str) -> CryptoError {
        facts(lines).open_error(gpgme::Error::GENERAL)
    }

    #[test]
    fn what_gpg_calls_no_secret_key_is_told_apart() {
        let start = "ENC_TO 92CC323B7BEC21DE 18 0\nNO_SECKEY 92CC323B7BEC21DE\nERROR pkdecrypt_failed ";
        let end = "\nBEGIN_DECRYPTION\nDECRYPTION_FAILED\nEND_DECRYPTION\nFAILURE gpg-exit 33554433";
        let with = |code: u32| format!("{start}{code}{end}");
        assert!(facts(&with(67_108_875)).is_passphrase_wrong());
        assert!(facts(&with(67_109_041)).is_passphrase_wrong(), "an empty one");
        let keys = vec![KeyName::id("92CC323B7BEC21DE")];
        assert_eq!(opened(&with(33_554_449)), CryptoError::MissingSecretKey { keys });
        for (code, trouble) in [
            (67_108_949, AgentTrouble::NoPinentry),
            (83_886_179, AgentTrouble::Declined),
            (67_108_926, AgentTrouble::TimedOut),
            (33_554_509, AgentTrouble::Unreachable),
        ] {
            assert_eq!(opened(&with(code)), CryptoError::AgentLocked(trouble));
        }
    }

    #[test]
    fn a_wrong_passphrase_of_a_file_is_one() {
        let lines = "NEED_PASSPHRASE_SYM 9 3 10\nBEGIN_DECRYPTION\nDECRYPTION_INFO 2 9 0\n\
                     ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE\nDECRYPTION_FAILED\nEND_DECRYPTION";
        let facts = facts(lines);
        assert!(facts.is_passphrase_wrong());
        assert_eq!(facts.needs, Some(PassphraseFor::Archive));
    }

    #[test]
    fn a_key_is_asked_for_by_its_owner() {
        let facts = facts(
            "USERID_HINT 92CC323B7BEC21DE Alice <alice@x>\n\
             NEED_PASSPHRASE 92CC323B7BEC21DE EA3D4B480588A413 18 0",
        );
        let user_id = Some("Alice <alice@x>".to_owned());
        assert_eq!(facts.needs, Some(PassphraseFor::Key { id: "EA3D4B480588A413".to_owned(), user_id }));
    }

    #[test]
    fn a_signature_has_a_subkey_and_a_primary_key() {
        let facts = facts(
            "NEWSIG bob@x\nGOODSIG FE79056A77133F9F Bob <bob@x>\n\
             VALIDSIG B357A43B6F2EFFBB9D835944FE79056A77133F9F 2026-11-23 1795415638 0 4 0 22 10 00 \
             02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413\nDECRYPTION_OKAY",
        );
        let expected = SignatureFact {
            verdict: Verdict::Good,
            key: "B357A43B6F2EFFBB9D835944FE79056A77133F9F".to_owned(),
            primary: Some("02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413".to_owned()),
            user_id: Some("Bob <bob@x>".to_owned()),
        };
        assert_eq!(facts.signatures(), [expected]);
        assert!(facts.is_decrypted());
    }

    #[test]
    fn a_gpg_that_goes_silent_is_no_damage() {
        let begun = "ENC_TO 92CC323B7BEC21DE 18 0\nBEGIN_DECRYPTION\nDECRYPTION_INFO 2 9 0\nPLAINTEXT 62 0";
        assert!(matches!(opened(begun), CryptoError::Other(_)));
        let altered = CryptoError::Damaged(SealDamage::Altered);
        assert_eq!(opened(&format!("{begun}\nBADMDC\nDECRYPTION_FAILED")), altered);
        assert_eq!(
            opened(&format!("{begun}\nERROR zlib.inflate 33554521\nFAILURE gpg-exit 33554433")),
            altered
        );
        assert_eq!(opened("NODATA 3"), CryptoError::Damaged(SealDamage::NotOpenPgp));
        let clear = "PLAINTEXT 62 0\nNEWSIG\nGOODSIG FE79056A77133F9F Bob";
        assert_eq!(opened(clear), CryptoError::Damaged(SealDamage::NotEncrypted));
    }

    #[test]
    fn a_gpg_that_is_not_there_is_missing() {
        let error = gpgme::Error::INV_ENGINE;
        assert_eq!(Facts::default().seal_error(error), CryptoError::GpgMissing);
        assert_eq!(Facts::default().open_error(error), CryptoError::GpgMissing);
        assert_eq!(plain(error), CryptoError::GpgMissing);
    }
}
