//! The parts of JSON's grammar. Each function takes the position where a part begins, and returns the position after it, or
//! `None` if the text is not valid JSON there.

use wide::u8x16;

/// After the space that is allowed between any two parts.
#[inline]
pub(super) fn after_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|byte| is_space(*byte)) {
        at += 1;
    }
    at
}

#[inline(always)]
fn is_space(byte: u8) -> bool {
    // Events have almost no space, which the first comparison alone finds out.
    byte <= b' ' && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// After a value.
#[inline]
pub(super) fn after_value(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'{' | b'[' => after_nested(json, at),
        _ => after_plain(json, at),
    }
}

/// After a string, a number or a literal.
#[inline(always)]
fn after_plain(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) == Some(&b'"') {
        return after_string(json, at);
    }
    match json.get(at)? {
        b't' => after_literal(json, at, b"true"),
        b'f' => after_literal(json, at, b"false"),
        b'n' => after_literal(json, at, b"null"),
        _ => after_number(json, at),
    }
}

/// After an object or an array. It does not recurse, so no depth of nesting overflows the stack.
fn after_nested(json: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Open::default();
    loop {
        // A value begins here.
        let byte = *json.get(at)?;
        at = if let Some(end) = after_typed_text(json, at) {
            end
        } else if byte == b'{' || byte == b'[' {
            let is_object = byte == b'{';
            let end = if is_object { b'}' } else { b']' };
            let first = after_space(json, at + 1);
            if json.get(first) != Some(&end) {
                open.push(is_object);
                at = if is_object { after_name(json, first)? } else { first };
                continue;
            }
            first + 1
        } else {
            after_plain(json, at)?
        };
        // A value has ended here. What is around it ends too, or continues after a comma.
        at = loop {
            if open.depth == 0 {
                return Some(at);
            }
            let byte = *json.get(at)?;
            if byte == b',' {
                let next = after_space(json, at + 1);
                break if open.is_object() { after_name(json, next)? } else { next };
            }
            if byte == if open.is_object() { b'}' } else { b']' } {
                open.pop();
            } else if !is_space(byte) {
                return None;
            }
            at += 1;
        };
    }
}

/// After `{"S":"text"}` or the like without space, which most values of an item are; otherwise `None`, whatever follows.
///
/// Reading such a value in one step saves 26 % of the instructions of a record whose images are validated here
/// (`benches/instructions.sh`, *no handler for the kind*).
#[inline(always)]
fn after_typed_text(json: &[u8], at: usize) -> Option<usize> {
    let [b'{', b'"', b'A'..=b'Z', b'"', b':', b'"', ..] = json.get(at..)? else { return None };
    let end = end_of_plain_text(json, at + 6);
    (json.get(end..end + 2)? == b"\"}").then_some(end + 2)
}

/// The objects and arrays that are open: a stack of bits, the innermost last.
///
/// A `Vec<bool>` instead would allocate, and take 3 % more instructions for a record whose images are validated here
/// (`benches/instructions.sh`, *no handler for the kind*).
#[derive(Default)]
struct Open {
    depth: usize,
    bits: u64,
    /// The bits of outer levels, 64 at a time.
    outer: Vec<u64>,
}

impl Open {
    #[inline(always)]
    fn push(&mut self, is_object: bool) {
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or(0);
        }
    }

    #[inline(always)]
    fn is_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// After a member's name, its colon and the space before its value.
#[inline(always)]
pub(super) fn after_name(json: &[u8], at: usize) -> Option<usize> {
    let mut colon = after_string(json, at)?;
    if json.get(colon) != Some(&b':') {
        colon = after_space(json, colon);
        if json.get(colon) != Some(&b':') {
            return None;
        }
    }
    Some(after_space(json, colon + 1))
}

/// After a string.
#[inline(always)]
pub(super) fn after_string(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let end = end_of_plain_text(json, at + 1);
    if json.get(end) == Some(&b'"') { Some(end + 1) } else { after_escapes(json, end) }
}

/// After a string, of which the part before its first escape has been read.
#[cold]
fn after_escapes(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = end_of_plain_text(json, after_escape(json, at)?),
            _ => return None,
        }
    }
}

/// After an escape. Whether surrogates come in pairs is not checked here, but when the string is decoded.
fn after_escape(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' if json.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => Some(at + 6),
        _ => None,
    }
}

/// After a number.
fn after_number(json: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(json.get(at) == Some(&b'-'));
    at = match json.get(at)? {
        b'0' => at + 1,
        _ => after_digits(json, at)?,
    };
    if json.get(at) == Some(&b'.') {
        at = after_digits(json, at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        at += 1 + usize::from(matches!(json.get(at + 1), Some(b'+' | b'-')));
        at = after_digits(json, at)?;
    }
    Some(at)
}

/// After one or more digits.
fn after_digits(json: &[u8], at: usize) -> Option<usize> {
    let digits = json.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + digits)
}

/// After this literal.
fn after_literal(json: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    json.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The position of the next quote, backslash or control character.
///
/// Sixteen bytes at a time save 11 % of the instructions of a record whose images are decoded, and 27 % of one whose images
/// are validated here (`benches/instructions.sh`, *from the bytes* and *no handler for the kind*).
#[inline(always)]
pub(crate) fn end_of_plain_text(json: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = json.get(at..).and_then(<[u8]>::first_chunk) {
        let hits = hits(*chunk);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
    }
    end_of_last_text(json, at)
}

/// The same for the last few bytes.
#[inline(never)]
fn end_of_last_text(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        at += 1;
    }
    at
}

/// A bit for each quote, backslash and control character.
#[inline(always)]
fn hits(bytes: [u8; 16]) -> u32 {
    const LAST_CONTROL: u8 = 0x1F;
    let bytes = u8x16::new(bytes);
    let control = bytes.min(u8x16::splat(LAST_CONTROL)).simd_eq(bytes);
    (bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | control).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_quotes_backslashes_and_controls() {
        for byte in 0..=255 {
            for place in 0..40 {
                let mut text = *b"plain text of forty bytes, which are pl\xC3";
                text[place] = byte;
                let means_something = byte < 0x20 || byte == b'"' || byte == b'\\';
                let end = if means_something { place } else { text.len() };
                assert_eq!(end_of_plain_text(&text, 0), end, "{byte:#x} at {place}");
            }
        }
        assert_eq!(end_of_plain_text(b"\\\"\x01\x7f\xff", 3), 5);
        assert_eq!(end_of_plain_text(b"", 7), 7);
    }

    #[test]
    fn open_levels_are_tracked_at_any_depth() {
        for depth in [1, 63, 64, 65, 128, 129, 1_000] {
            let kinds: Vec<bool> = (0..depth).map(|level| level % 3 == 0).collect();
            let mut open = Open::default();
            kinds.iter().for_each(|object| open.push(*object));
            for object in kinds.iter().rev() {
                assert_eq!(open.is_object(), *object);
                open.pop();
            }
            assert_eq!((open.depth, open.outer.len()), (0, 0));
        }
    }
}
