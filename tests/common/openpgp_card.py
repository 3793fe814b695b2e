#!/usr/bin/env python3
"""An OpenPGP card for the tests, put into the reader of vsmartcard's driver for PC/SC.

    openpgp_card.py PORT

It has a key to sign and one to decrypt, made anew each time, and as much of the OpenPGP card's application
(version 3.4 of its specification) as GnuPG uses of it. Its PIN is 123456. It is taken out when the program ends.
"""

import socket
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

APPLICATION = bytes.fromhex("D27600012401")
# Version 3.4, the manufacturer for tests, a serial number.
IDENTIFIER = APPLICATION + bytes.fromhex("0304FFFE00000042") + bytes(2)
ED25519 = bytes.fromhex("16 2B06010401DA470F01")
CV25519 = bytes.fromhex("12 2B060104019755010501")
ANSWER_TO_RESET = bytes.fromhex("3BDA18FF81B1FE751F030031F573C001600090001C")
HISTORICAL_BYTES = bytes.fromhex("0031F573C00160009000")
# No secure messaging, no random numbers; data of the owner may be changed, attributes of keys may not.
CAPABILITIES = bytes.fromhex("08 00 0000 0000 00FF 00 00")
PIN = b"123456"

OK, SECURITY, NO_DATA, NOT_FOUND = 0x9000, 0x6982, 0x6A88, 0x6A82
WRONG_DATA, WRONG_INSTRUCTION = 0x6A80, 0x6D00
TRIES = 3


def value(tag, contents):
    """A value with its tag and length, as BER writes them."""
    tag = tag.to_bytes(2 if tag > 0xFF else 1, "big")
    length = len(contents)
    if length < 0x80:
        return tag + bytes([length]) + contents
    if length < 0x100:
        return tag + bytes([0x81, length]) + contents
    return tag + b"\x82" + struct.pack(">H", length) + contents


class Card:
    """What is kept on the card, and what it answers."""

    def __init__(self):
        self.sign_key = Ed25519PrivateKey.generate()
        self.decrypt_key = X25519PrivateKey.generate()
        self.fingerprints = {slot: bytes(20) for slot in range(3)}
        self.times = {slot: bytes(4) for slot in range(3)}
        self.signature_count = 0
        self.tries_left = TRIES
        self.may_sign = self.may_decrypt = self.is_administrator = False
        self.rest = b""

    def reset(self):
        """Power was taken away, and came back."""
        self.may_sign = self.may_decrypt = self.is_administrator = False
        self.rest = b""

    def answer(self, command):
        """The data of an answer and the two bytes that say how it went."""
        _, instruction, p1, p2 = command[:4]
        data = self.data_of(command)
        if instruction == 0xC0:
            return self.whole_or_part(self.rest)
        self.rest = b""
        contents, status = self.obey(instruction, p1 << 8 | p2, data)
        return self.whole_or_part(contents) if status == OK else struct.pack(">H", status)

    @staticmethod
    def data_of(command):
        if len(command) <= 5:
            return b""
        if command[4] == 0 and len(command) > 7:
            return command[7 : 7 + struct.unpack(">H", command[5:7])[0]]
        return command[5 : 5 + command[4]]

    def whole_or_part(self, contents):
        part, self.rest = contents[:256], contents[256:]
        status = 0x6100 | min(len(self.rest), 255) if self.rest else OK
        return part + struct.pack(">H", status)

    def obey(self, instruction, parameter, data):
        if instruction == 0xA4:
            return b"", OK if data.startswith(APPLICATION) else NOT_FOUND
        if instruction == 0xCA:
            contents = self.contents().get(parameter)
            return (contents, OK) if contents is not None else (b"", NO_DATA)
        if instruction == 0xDA:
            return b"", self.put(parameter, data)
        if instruction == 0x20:
            return b"", self.verify(parameter, data)
        if instruction == 0x47:
            return self.public_key(data)
        if instruction == 0x2A and parameter == 0x9E9A:
            return self.sign(data)
        if instruction == 0x2A and parameter == 0x8086:
            return self.decrypt(data)
        return b"", WRONG_INSTRUCTION

    def contents(self):
        pin_status = bytes([0, 32, 32, 32, self.tries_left, 0, TRIES])
        discretionary = b"".join(
            [
                value(0xC0, CAPABILITIES),
                value(0xC1, ED25519),
                value(0xC2, CV25519),
                value(0xC3, ED25519),
                value(0xC4, pin_status),
                value(0xC5, b"".join(self.fingerprints.values())),
                value(0xC6, bytes(60)),
                value(0xCD, b"".join(self.times.values())),
            ]
        )
        application = value(0x4F, IDENTIFIER) + value(0x5F52, HISTORICAL_BYTES) + value(0x73, discretionary)
        return {
            0x4F: IDENTIFIER,
            0x5E: b"",
            0x65: value(0x5B, b"Example<<Card") + value(0x5F2D, b"en") + value(0x5F35, b"9"),
            0x6E: application,
            0x7A: value(0x93, self.signature_count.to_bytes(3, "big")),
            0xC4: pin_status,
            0x5F50: b"",
            0x5F52: HISTORICAL_BYTES,
        }

    def put(self, tag, data):
        if not self.is_administrator:
            return SECURITY
        if 0xC7 <= tag <= 0xC9:
            self.fingerprints[tag - 0xC7] = data
        elif 0xCE <= tag <= 0xD0:
            self.times[tag - 0xCE] = data
        else:
            return NO_DATA
        return OK

    def verify(self, which, data):
        if which == 0x83:
            self.is_administrator = data == b"12345678"
            return OK if self.is_administrator else SECURITY
        if not data:
            has = self.may_sign if which == 0x81 else self.may_decrypt
            return OK if has else 0x63C0 | self.tries_left
        if self.tries_left == 0:
            return 0x6983
        if data != PIN:
            self.tries_left -= 1
            return 0x63C0 | self.tries_left if self.tries_left else 0x6983
        self.tries_left = TRIES
        if which == 0x81:
            self.may_sign = True
        else:
            self.may_decrypt = True
        return OK

    def public_key(self, which):
        keys = {0xB6: self.sign_key, 0xB8: self.decrypt_key}
        key = keys.get(which[0] if which else None)
        if key is None:
            return b"", NO_DATA
        return value(0x7F49, value(0x86, key.public_key().public_bytes_raw())), OK

    def sign(self, data):
        if not self.may_sign:
            return b"", SECURITY
        self.signature_count += 1
        # The PIN is good for one signature.
        self.may_sign = False
        return self.sign_key.sign(data), OK

    def decrypt(self, data):
        if not self.may_decrypt:
            return b"", SECURITY
        # A6 { 7F49 { 86 the point of the sender } }: the point is what they end with.
        point = data[-32:]
        if not data.startswith(b"\xA6"):
            return b"", WRONG_DATA
        return self.decrypt_key.exchange(X25519PublicKey.from_public_bytes(point)), OK


def receive(reader, count):
    received = b""
    while len(received) < count:
        part = reader.recv(count - len(received))
        if not part:
            sys.exit(0)
        received += part
    return received


def main(port):
    card = Card()
    with socket.create_connection(("127.0.0.1", port)) as reader:
        print("inserted", flush=True)
        while True:
            message = receive(reader, struct.unpack(">H", receive(reader, 2))[0])
            if message == b"\x04":
                answer = ANSWER_TO_RESET
            elif len(message) == 1:
                card.reset()
                continue
            else:
                answer = card.answer(message)
            reader.sendall(struct.pack(">H", len(answer)) + answer)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(int(sys.argv[1]))
