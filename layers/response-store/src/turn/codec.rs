//! Sections of bytes behind a checksum.
//!
//! `checksum: u32 LE`, `version: u8`, then sections: `kind: u8`, length as LEB128, bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::StoreError;

const VERSION: u8 = 1;
const HEAD: usize = 5;

/// For what is mostly written behind text that was shown: to grow would copy it once more.
const ROOM: usize = 8 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Section {
    Input = 1,
    Output = 2,
    Cut = 3,
    Pending = 4,
    Own = 5,
    ToolChoice = 6,
    Roles = 7,
    Failed = 8,
    Numbers = 9,
    Depth = 10,
}

impl Section {
    const ALL: [Self; 10] = [
        Self::Input,
        Self::Output,
        Self::Cut,
        Self::Pending,
        Self::Own,
        Self::ToolChoice,
        Self::Roles,
        Self::Failed,
        Self::Numbers,
        Self::Depth,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|section| *section as u8 == byte)
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    text: BytesMut,
    checksum: crc32fast::Hasher,
    /// So much of the text is in the checksum.
    checked: usize,
    /// The text, while somebody else may have it too; `text` is empty then.
    shown: Option<Bytes>,
}

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let mut text = BytesMut::with_capacity(capacity + HEAD);
        text.put_u32_le(0);
        text.put_u8(VERSION);
        Self { text, checksum: crc32fast::Hasher::new(), checked: 4, shown: None }
    }

    pub(super) fn section(&mut self, section: Section, text: &[u8]) {
        self.take_back();
        self.text.put_u8(section as u8);
        let mut length = text.len();
        while length >= 0x80 {
            self.text.put_u8(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        self.text.put_u8(length.to_le_bytes()[0]);
        self.text.put_slice(text);
    }

    /// What was written so far and stays as it is, and where that is. It is not copied, unless
    /// somebody still has it when more is written.
    pub(super) fn written(&mut self) -> (usize, Bytes) {
        let shown = self.shown.get_or_insert_with(|| std::mem::take(&mut self.text).freeze());
        (HEAD, shown.slice(HEAD..))
    }

    /// Has the text to go on with it.
    fn take_back(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.text = shown.try_into_mut().unwrap_or_else(|shown| {
                let mut text = BytesMut::with_capacity(shown.len() + ROOM);
                text.put_slice(&shown);
                text
            });
        }
    }

    /// Takes what was written so far into the checksum.
    pub(super) fn check(&mut self) {
        self.take_back();
        self.checksum.update(&self.text[self.checked..]);
        self.checked = self.text.len();
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.check();
        self.text[..4].copy_from_slice(&self.checksum.finalize().to_le_bytes());
        self.text.freeze()
    }
}

pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(body: &Bytes) -> Result<Self, StoreError> {
        let (Some(checksum), Some(checked)) = (body.first_chunk::<4>(), body.get(4..)) else {
            return Err(StoreError::corrupt("a stored response is cut"));
        };
        if crc32fast::hash(checked) != u32::from_le_bytes(*checksum) {
            return Err(StoreError::corrupt("a stored response does not match its checksum"));
        }
        match checked.first() {
            Some(&VERSION) => Ok(Self { rest: body.slice(HEAD..) }),
            Some(version) => Err(StoreError::corrupt(format!("a response was stored in the unknown format {version}"))),
            None => Err(StoreError::corrupt("a stored response is cut")),
        }
    }

    fn section(&mut self) -> Option<(Section, Bytes)> {
        let section = Section::of(self.rest[0])?;
        let mut length = 0usize;
        let mut at = 1;
        loop {
            let byte = *self.rest.get(at)?;
            length |= usize::from(byte & 0x7f).checked_shl(7 * (u32::try_from(at).ok()? - 1))?;
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if length > self.rest.len() - at {
            return None;
        }
        let _ = self.rest.split_to(at);
        Some((section, self.rest.split_to(length)))
    }
}

impl Iterator for Reader {
    type Item = Result<(Section, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let section = self.section();
        if section.is_none() {
            self.rest = Bytes::new();
        }
        Some(section.ok_or_else(|| StoreError::corrupt("a part of a stored response is unreadable")))
    }
}
