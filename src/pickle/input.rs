//! The bytes of a pickle, from which the operands of instructions are taken.

use super::Value;

/// A position in the bytes of a pickle.
pub(super) struct Input<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

impl<'a> Input<'a> {
    /// Bytes behind the position.
    pub fn left(&self) -> usize {
        self.text.len() - self.at
    }

    pub fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let left = self.left();
        match usize::try_from(count).ok().filter(|&count| count <= left) {
            Some(count) => {
                let bytes = &self.text[self.at..self.at + count];
                self.at += count;
                Ok(bytes)
            }
            None => Err(self.wrong(&format!("{count} bytes"), &format!("{left} before the end"))),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// Bytes behind their number, which is little-endian and has `N` bytes.
    pub fn counted<const N: usize>(&mut self) -> Result<&'a [u8], String> {
        let mut count = [0; 8];
        count[..N].copy_from_slice(self.take(N as u64)?);
        self.take(u64::from_le_bytes(count))
    }

    /// A string behind its length, which has `width` bytes.
    pub fn text(&mut self, width: usize) -> Result<Value<'a>, String> {
        let bytes = match width {
            1 => self.counted::<1>()?,
            4 => self.counted::<4>()?,
            _ => self.counted::<8>()?,
        };
        std::str::from_utf8(bytes)
            .map(Value::Text)
            .map_err(|_| self.wrong("a string in UTF-8 before this place", "other bytes"))
    }

    pub fn line_bytes(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.wrong("a line", "no end of it"))?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    pub fn line(&mut self) -> Result<&'a str, String> {
        let line = self.line_bytes()?;
        std::str::from_utf8(line).map_err(|_| self.wrong("a line in UTF-8 before this place", "other bytes"))
    }

    pub fn decimal(&self, digits: &str) -> Result<i64, String> {
        digits.parse().map_err(|_| self.wrong("an integer of at most 64 bits", &shown(digits)))
    }

    pub fn wrong(&self, expected: &str, found: &str) -> String {
        format!("the pickle: expected {expected} at byte {}, found {found}", self.at)
    }
}

/// The integer of these bytes, in two's complement and little-endian; without bytes it is 0.
pub(super) fn integer(digits: &[u8]) -> Value<'_> {
    if digits.len() > 8 {
        return Value::Long(digits);
    }
    let negative = digits.last().is_some_and(|byte| *byte >= 0x80);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes[..digits.len()].copy_from_slice(digits);
    Value::Int(i64::from_le_bytes(bytes))
}

/// The start of `text` in quotes.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}
