//! Request ids in the form of Lambda's: random UUIDs of version 4.

/// Draws a request id.
pub(crate) fn request_id(random: &mut fastrand::Rng) -> String {
    let (high, low) = (random.u64(..), random.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let random = &mut fastrand::Rng::new();
        let (one, other) = (request_id(random), request_id(random));
        assert_ne!(one, other);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4', "{one}: the version");
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}: the variant");
    }
}
