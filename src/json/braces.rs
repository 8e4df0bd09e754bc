//! Finds the end of an object by matching its braces, 64 bytes at a time, without validating it.
//!
//! An image that is decoded later need not be validated here as well. That saves 12 % of the instructions of a record with
//! both images (`benches/instructions.sh`, *from the bytes*).

use wide::u8x16;

/// How many bytes are examined at once: a bit of a `u64` for each.
const BLOCK: usize = u64::BITS as usize;

/// The position after an object's closing brace, given the position after its opening one; `None` if the text ends before.
///
/// If the object is not valid JSON, the position may be anywhere.
pub(crate) fn after_object(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_usize;
    let mut strings = Strings::default();
    loop {
        let rest = json.get(at..).filter(|rest| !rest.is_empty())?;
        let block = match rest.first_chunk() {
            Some(block) => Block::of(block),
            None => {
                let mut last = [b' '; BLOCK];
                last[..rest.len()].copy_from_slice(rest);
                Block::of(&last)
            }
        };
        let backslashes = if block.has(b'\\') { block.places(b'\\') } else { 0 };
        let mut braces = block.braces() & !strings.inside(block.places(b'"'), backslashes);
        while braces != 0 {
            let place = braces.trailing_zeros() as usize;
            let is_closing = rest.get(place) == Some(&b'}');
            // Without a branch, because which brace is next cannot be predicted.
            depth = (depth + 1) - 2 * usize::from(is_closing);
            if depth == 0 {
                return Some(at + place + 1);
            }
            braces &= braces - 1;
        }
        at += BLOCK;
    }
}

/// A block of bytes.
struct Block([u8x16; BLOCK / 16]);

impl Block {
    #[inline(always)]
    fn of(bytes: &[u8; BLOCK]) -> Self {
        let (parts, _) = bytes.as_chunks();
        Self([u8x16::new(parts[0]), u8x16::new(parts[1]), u8x16::new(parts[2]), u8x16::new(parts[3])])
    }

    #[inline(always)]
    fn has(&self, byte: u8) -> bool {
        let byte = u8x16::splat(byte);
        let [first, second, third, last] = self.0.map(|part| part.simd_eq(byte));
        (first | second | third | last).any()
    }

    /// A bit for each occurrence of this byte.
    #[inline(always)]
    fn places(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        self.bits(|part| part.simd_eq(byte))
    }

    /// A bit for each brace, and for the one character between the two, `|`, which does not occur in JSON outside of strings.
    #[inline(always)]
    fn braces(&self) -> u64 {
        let (first, distance) = (u8x16::splat(b'{'), u8x16::splat(b'}' - b'{'));
        self.bits(|part| (part - first).min(distance).simd_eq(part - first))
    }

    #[inline(always)]
    fn bits(&self, is_match: impl Fn(u8x16) -> u8x16) -> u64 {
        let [first, second, third, last] = self.0.map(|part| u64::from(is_match(part).to_bitmask()));
        first | second << 16 | third << 32 | last << 48
    }
}

/// Whether strings and escapes continue from one block to the next.
#[derive(Default)]
struct Strings {
    /// All bits if the last block ended inside a string, otherwise none.
    continues: u64,
    /// 1 if the last block ended with the backslash of an escape.
    escapes: u64,
}

impl Strings {
    /// A bit for each byte inside strings, with their opening quotes.
    #[inline(always)]
    fn inside(&mut self, quotes: u64, backslashes: u64) -> u64 {
        let quotes = if backslashes | self.escapes == 0 { quotes } else { quotes & !self.escaped(backslashes) };
        // For each byte, the parity of the quotes up to it.
        let mut inside = quotes;
        for distance in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << distance;
        }
        inside ^= self.continues;
        self.continues = if inside >> (BLOCK - 1) == 1 { u64::MAX } else { 0 };
        inside
    }

    /// A bit for each byte after the backslash of an escape.
    #[cold]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escaped = self.escapes;
        for place in 0..BLOCK - 1 {
            escaped |= (backslashes & !escaped & 1 << place) << 1;
        }
        self.escapes = (backslashes & !escaped) >> (BLOCK - 1);
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of so many members, with everything that may look like its end.
    fn object(random: &mut fastrand::Rng, members: usize) -> String {
        let strings = ["}", "{", "\\\"}", "\\\\", "\\\\\\\"", "\\u007d", "é}", "plain", ""];
        let mut json = String::from("{");
        for number in 0..members {
            let separator = if number > 0 { "," } else { "" };
            let text: String = (0..random.usize(..30)).map(|_| strings[random.usize(..strings.len())]).collect();
            let value = match random.usize(..4) {
                0 => object(random, members / 2),
                1 => format!("[{{}},{},[\"}}\"]]", object(random, members / 3)),
                2 => " 1.5e7 ".to_owned(),
                _ => format!("\"{text}\""),
            };
            json += &format!("{separator}\"{text}{number}\" :{value}");
        }
        json + "}"
    }

    #[test]
    fn an_object_ends_at_its_own_brace_in_any_block() {
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..400 {
            let json = object(&mut random, round % 6);
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            for after in ["", "}", ",\"x\":{}}", "\\\"{"] {
                assert_eq!(after_object(format!("{json}{after}").as_bytes(), 1), Some(json.len()), "{json}");
            }
            let space = " ".repeat(round % 70);
            assert_eq!(after_object(format!("{{{space}{}", &json[1..]).as_bytes(), 1), Some(json.len() + space.len()));
            // A truncated object has no end.
            for end in (1..json.len()).step_by(1 + json.len() / 100) {
                assert_eq!(after_object(&json.as_bytes()[..end], 1), None, "{json} up to {end}");
            }
        }
    }

    #[test]
    fn runs_of_backslashes_pair_up_across_blocks() {
        for length in 0..200 {
            let json = format!("{{\"a\":\"{}\"}}\"}}", "\\".repeat(length));
            let end = if length % 2 == 0 { json.len() - 2 } else { json.len() };
            assert_eq!(after_object(json.as_bytes(), 1), Some(end), "{length}");
        }
    }
}
