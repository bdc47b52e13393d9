//! Which rows are asked for.

/// Keys by their digests, in buckets: some of them, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    bits: u32,
    /// One bit a bucket; empty where all are meant.
    set: Vec<u8>,
}

impl Filter {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// No key yet, of `2^bits` buckets (8 at least).
    #[must_use]
    pub fn none(bits: u32) -> Self {
        let bits = bits.clamp(3, 40);
        Self {
            bits,
            set: vec![0; 1 << (bits - 3)],
        }
    }

    /// In which of `2^bits` buckets the key lies that has the digest `key`.
    #[must_use]
    pub fn bucket(key: u64, bits: u32) -> usize {
        usize::try_from(key.checked_shr(64 - bits).unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// Adds the keys of a bucket.
    pub fn add(&mut self, bucket: usize) {
        if let Some(byte) = self.set.get_mut(bucket / 8) {
            *byte |= 1 << (bucket % 8);
        }
    }

    /// Whether the key that has the digest `key` is asked for.
    #[must_use]
    pub fn has(&self, key: u64) -> bool {
        let bucket = Self::bucket(key, self.bits);
        self.set.is_empty()
            || self
                .set
                .get(bucket / 8)
                .is_some_and(|byte| byte & (1 << (bucket % 8)) != 0)
    }

    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bits.to_le_bytes());
        out.extend_from_slice(&self.set);
    }

    /// The filter at the beginning of `bytes`, and what follows it.
    pub(super) fn read_from(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (bits, rest) = bytes.split_first_chunk()?;
        let bits = u32::from_le_bytes(*bits);
        if bits == 0 {
            return Some((Self::all(), rest));
        }
        let len = 1_usize.checked_shl(bits.checked_sub(3)?)?;
        let (set, rest) = rest.split_at_checked(len)?;
        let set = set.to_vec();
        Some((Self { bits, set }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_the_keys_of_its_buckets_and_survives_the_way() {
        let mut filter = Filter::none(4);
        filter.add(Filter::bucket(0xF000_0000_0000_0000, 4));
        let mut bytes = Vec::new();
        filter.write_to(&mut bytes);
        bytes.push(7);
        let (read, rest) = Filter::read_from(&bytes).unwrap();
        assert_eq!((&read, rest), (&filter, &[7][..]));
        assert!(read.has(u64::MAX) && !read.has(0) && !read.has(0xE000_0000_0000_0000));
        assert!(Filter::read_from(&bytes[..5]).is_none());
        let mut bytes = Vec::new();
        Filter::all().write_to(&mut bytes);
        assert!(Filter::read_from(&bytes).unwrap().0.has(1));
    }
}
