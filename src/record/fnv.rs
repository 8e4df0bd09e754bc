//! FNV-1a with 128 bits: a hash that is the same in every version and process, which the standard library promises of none. It
//! names message groups and deduplicates messages; lanes use `decode::hash_keys`.

/// The hash of all strings written so far.
pub(crate) struct Fnv128(u128);

impl Fnv128 {
    pub(crate) fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Adds a text after its length, so `("ab", "c")` and `("a", "bc")` differ.
    pub(crate) fn write_str(&mut self, text: &str) {
        self.write(&(text.len() as u64).to_be_bytes());
        self.write(text.as_bytes());
    }

    /// The hash as 32 hexadecimal digits.
    pub(crate) fn to_hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        bytes.iter().for_each(|byte| self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv128::new();
        hash.write(b"a");
        assert_eq!(hash.to_hex(), "d228cb696f1a8caf78912b704e4a8964");
    }
}
