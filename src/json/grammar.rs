//! The parts of JSON's grammar: each function is given where a part begins, and tells where it ends.

/// Behind the space that may stand between any two parts.
#[inline]
pub(super) fn after_space(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = json.get(at) {
        at += 1;
    }
    at
}

/// Behind a value; `ends` has room for what is open, so that no depth overflows the stack.
pub(super) fn after_value(json: &[u8], mut at: usize, ends: &mut Vec<u8>) -> Option<usize> {
    ends.clear();
    loop {
        at = after_space(json, at);
        at = match json.get(at)? {
            // Most objects are values of DynamoDB, and begin with their type.
            b'{' if matches!(json.get(at + 1..at + 5), Some([b'"', b'A'..=b'Z', b'"', b':'])) => {
                ends.push(b'}');
                at += 5;
                continue;
            }
            b'{' => match after_space(json, at + 1) {
                end if json.get(end) == Some(&b'}') => end + 1,
                name => {
                    ends.push(b'}');
                    at = after_name(json, name)?;
                    continue;
                }
            },
            b'[' => match after_space(json, at + 1) {
                end if json.get(end) == Some(&b']') => end + 1,
                element => {
                    ends.push(b']');
                    at = element;
                    continue;
                }
            },
            b'"' => after_string(json, at)?,
            b't' => after_word(json, at, b"true")?,
            b'f' => after_word(json, at, b"false")?,
            b'n' => after_word(json, at, b"null")?,
            _ => after_number(json, at)?,
        };
        at = match after_ends(json, at, ends)? {
            end if ends.is_empty() => return Some(end),
            next => next,
        };
    }
}

/// Behind all that ends here, and behind the comma, and the name, before the value that follows.
#[inline]
fn after_ends(json: &[u8], mut at: usize, ends: &mut Vec<u8>) -> Option<usize> {
    while let Some(end) = ends.last() {
        at = after_space(json, at);
        match json.get(at)? {
            b',' if *end == b'}' => return after_name(json, after_space(json, at + 1)),
            b',' => return Some(at + 1),
            byte if byte == end => ends.pop(),
            _ => return None,
        };
        at += 1;
    }
    Some(at)
}

/// Behind a member's name and its colon.
#[inline]
fn after_name(json: &[u8], at: usize) -> Option<usize> {
    let colon = after_space(json, after_string(json, at)?);
    (json.get(colon) == Some(&b':')).then_some(colon + 1)
}

#[inline(always)]
pub(super) fn after_string(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = end_of_plain_text(json, at + 1);
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = end_of_plain_text(json, after_escape(json, at)?),
            _ => return None,
        }
    }
}

/// Behind an escape. Whether surrogates come in pairs is not asked: that is for whoever reads the string.
fn after_escape(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' if json.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => Some(at + 6),
        _ => None,
    }
}

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

/// Behind digits, of which there is at least one.
fn after_digits(json: &[u8], at: usize) -> Option<usize> {
    let digits = json.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + digits)
}

fn after_word(json: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    json.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The next byte of a string that means something: a quote, a backslash or a control character.
#[inline(always)]
fn end_of_plain_text(json: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Eight bytes at once; a borrow reaches only bytes behind the first hit, which is the one that counts.
    while let Some(chunk) = json[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hits = (control | quote | backslash) & HIGH;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = json[at..].iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
    at + rest.count()
}
