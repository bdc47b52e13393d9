//! Digests of many rows, added up by their keys.

use tahr_plugin_api::read_back::{Digest, Filter};

/// Rows that a bucket has on average, as far as memory allows.
const PER_BUCKET: u64 = 8;
/// At least a thousand buckets, at most 32 MiB of them.
const BITS: std::ops::RangeInclusive<u32> = 10..=22;

/// One side of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    bits: u32,
    /// The order of rows doesn't matter to a sum, but that each of them is in it once.
    sums: Vec<u64>,
    rows: u64,
}

impl Sums {
    /// Of a table of about so many rows.
    pub(super) fn expecting(rows: u64) -> Self {
        let bits = (rows / PER_BUCKET).max(1).ilog2();
        let bits = bits.clamp(*BITS.start(), *BITS.end());
        Self {
            bits,
            sums: vec![0; 1 << bits],
            rows: 0,
        }
    }

    pub(super) fn add(&mut self, digest: Digest) {
        self.rows += 1;
        if !digest.is_kept() {
            return;
        }
        if let Some(sum) = self.sums.get_mut(Filter::bucket(digest.key, self.bits)) {
            *sum = sum.wrapping_add(digest.row);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The buckets in which two sides differ, in groups that have about `most` rows each.
    pub(super) fn differing(&self, other: &Self, most: u64) -> Vec<Filter> {
        let rows = self.rows.max(other.rows);
        let per_bucket = (rows >> self.bits).max(1);
        let group = usize::try_from((most / per_bucket).max(1)).unwrap_or(usize::MAX);
        let pairs = self.sums.iter().zip(&other.sums).enumerate();
        let differing = pairs.filter(|(_, (one, two))| one != two);
        let differing: Vec<usize> = differing.map(|(bucket, _)| bucket).collect();
        let filter = |buckets: &[usize]| {
            let mut filter = Filter::none(self.bits);
            buckets.iter().for_each(|&bucket| filter.add(bucket));
            filter
        };
        differing.chunks(group).map(filter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> Digest {
        let key = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Digest {
            key,
            row: key.rotate_left(17),
        }
    }

    #[test]
    fn equal_rows_in_any_order_have_equal_sums() {
        let (mut one, mut two) = (Sums::expecting(50_000), Sums::expecting(50_000));
        (0..50_000).for_each(|number| one.add(row(number)));
        (0..50_000).rev().for_each(|number| two.add(row(number)));
        assert_eq!(one, two);
        assert!(one.differing(&two, 1000).is_empty());
    }

    #[test]
    fn a_row_that_differs_is_in_the_one_bucket_that_is_told() {
        let (mut one, mut two) = (Sums::expecting(50_000), Sums::expecting(50_000));
        for number in 0..50_000 {
            one.add(row(number));
            two.add(match number {
                777 => Digest { row: 1, ..row(777) },
                _ => row(number),
            });
        }
        let filters = one.differing(&two, 1000);
        assert_eq!(filters.len(), 1);
        assert!(filters[0].has(row(777).key));
        let asked = (0..50_000).filter(|&number| filters[0].has(row(number).key));
        assert!(asked.count() < 100);
    }

    #[test]
    fn many_differences_come_in_groups() {
        let (mut one, two) = (Sums::expecting(100_000), Sums::expecting(100_000));
        (0..100_000).for_each(|number| one.add(row(number)));
        let filters = one.differing(&two, 10_000);
        assert!((5..20).contains(&filters.len()), "{}", filters.len());
        for number in 0..1000 {
            let has = |filter: &&Filter| filter.has(row(number).key);
            assert_eq!(filters.iter().filter(has).count(), 1);
        }
    }
}
