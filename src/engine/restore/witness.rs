//! The signatures of a set as the witness of what its damaged volumes held.

use super::Source;
use super::salvage::{Range, Salvage, Suspect, whole_signatures};
use crate::engine::chain::Set;
use crate::engine::copies::Copies;
use crate::engine::error::{Error, Fault, Result};
use crate::engine::known::SetSignatures;
use crate::engine::stored::WholeFile;

/// The signatures of one set. They are not touched as long as no volume is damaged.
pub struct Witness<'env> {
    set: &'env Set,
    source: Source<'env>,
    /// None as long as that was not asked.
    worth: Option<Worth>,
    /// The signatures, where the last range ended that they told of.
    open: Option<SetSignatures>,
}

/// What signatures are worth.
enum Worth {
    /// They are whole and rightly signed: they vouch for contents.
    Proof(WholeFile),
    /// They are damaged: as far as they can be read they tell what there was.
    Hearsay,
    /// Nobody knows who wrote them, where that matters.
    Nothing,
}

impl<'env> Witness<'env> {
    /// The signatures of `set`.
    pub fn new(set: &'env Set, source: Source<'env>) -> Self {
        Self { set, source, worth: None, open: None }
    }

    /// What they tell of a range, with what `suspects` have of its contents. `None` if nothing is to be believed of
    /// them; why, an error has said the first time.
    pub fn tell(&mut self, suspects: Vec<Suspect>, range: Range) -> Result<Option<Salvage<'env>>> {
        let suspects = match self.worth()? {
            Worth::Proof(_) => suspects,
            Worth::Hearsay => Vec::new(),
            Worth::Nothing => return Ok(None),
        };
        let signatures = match self.open.take() {
            Some(signatures) => signatures,
            None => self.open()?,
        };
        Ok(Some(Salvage::new(self.source, signatures, range, suspects)))
    }

    /// Takes the signatures back when a range is told.
    pub fn take_back(&mut self, salvage: Salvage<'env>) {
        self.open = Some(salvage.into_signatures());
    }

    /// Whether contents can be proven by them.
    pub fn can_prove(&self) -> bool {
        matches!(self.worth, Some(Worth::Proof(_)))
    }

    fn worth(&mut self) -> Result<&Worth> {
        if self.worth.is_none() {
            self.worth = Some(match whole_signatures(self.set, self.source)? {
                Ok(whole) => Worth::Proof(whole),
                Err(error) if self.source.opener.demands_signature() || is_of_signature(&error) => {
                    self.worth = Some(Worth::Nothing);
                    return Err(error);
                }
                Err(_) => Worth::Hearsay,
            });
        }
        Ok(self.worth.as_ref().unwrap_or(&Worth::Nothing))
    }

    fn open(&self) -> Result<SetSignatures> {
        let Source { storage, opener, job } = self.source;
        match (&self.set.signatures, &self.worth) {
            (Some(file), Some(Worth::Proof(whole))) => {
                Ok(SetSignatures::of(self.set, &file.name, whole.open(storage, opener, job)?, job))
            }
            _ => SetSignatures::open(storage, &Copies::none(), self.set, &opener.without_questions(), job),
        }
    }
}

/// Whether a file was not signed by who should have.
fn is_of_signature(error: &Error) -> bool {
    Fault::from(error) == Fault::Signature
}
