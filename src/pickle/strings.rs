//! The strings of protocol 0, which are Python literals on a line.

/// The bytes of a string literal of Python 2, `text` with its quotes.
pub(super) fn literal(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let inner = match text {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err("a string in quotes"),
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, after) = rest.split_first().ok_or("a complete escape")?;
        rest = after;
        bytes.push(match kind {
            b'\\' | b'\'' | b'"' => kind,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' => {
                let (digits, after) = rest.split_at_checked(2).ok_or("two digits after \\x")?;
                rest = after;
                number(digits, 16).and_then(|value| u8::try_from(value).ok()).ok_or("two digits after \\x")?
            }
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
                let (digits, after) = rest.split_at(more);
                rest = after;
                let value = digits
                    .iter()
                    .fold(u32::from(kind - b'0'), |value, digit| value * 8 + u32::from(digit - b'0'));
                u8::try_from(value).map_err(|_| "an octal escape of at most \\377")?
            }
            _ => return Err("an escape of a Python string"),
        });
    }
    Ok(bytes)
}

/// The string of a line in Python's raw-unicode-escape: bytes are Latin-1, `\uXXXX` and `\UXXXXXXXX` are other characters.
pub(super) fn raw_unicode(text: &[u8]) -> Result<String, &'static str> {
    const EXPECTED: &str = "an escape of a Unicode character";
    let mut string = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                string.push(char::from(byte));
                rest = after;
                continue;
            }
        };
        let (code, after) = after[1..].split_at_checked(digits).ok_or(EXPECTED)?;
        string.push(number(code, 16).and_then(char::from_u32).ok_or(EXPECTED)?);
        rest = after;
    }
    Ok(string)
}

/// The value of digits without a sign.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, &digit| {
        value.checked_mul(radix)?.checked_add(char::from(digit).to_digit(radix)?)
    })
}
