//! Draws the samples that are held out for validation.

use crate::random::{Purpose, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Classes of at least this many samples have one held out, as long as there are as many to hold out as such classes: a
/// quarter of a class at most.
const ENOUGH: usize = 4;

/// `held` of `count` samples, all equally likely: the numbers of those that stay and of those that are held out, rising.
pub(super) fn drawn_evenly(count: usize, held: usize, seed: u64) -> [Vec<u32>; 2] {
    let mut order = Stream::new(seed, Purpose::Split, 0).permutation(count);
    let (out, stay) = order.split_at_mut(held);
    out.sort_unstable();
    stay.sort_unstable();
    [stay.to_vec(), out.to_vec()]
}

/// As [`drawn_evenly`], but each class gives the same share, rounded so that the total is `held` (largest remainders first,
/// equal ones in an order that the seed draws). Every class keeps at least one sample to be trained on, so where classes
/// are tiny fewer than `held` may be held out; where each has a single sample, classes are not looked at.
pub(super) fn drawn_by_class(labels: &[u32], held: usize, seed: u64) -> [Vec<u32>; 2] {
    let classes = labels.iter().max().map_or(0, |&most| most as usize + 1);
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|&class| counts[class as usize] += 1);
    let most: usize = counts.iter().map(|count| count.saturating_sub(1)).sum();
    if most == 0 {
        return drawn_evenly(labels.len(), held, seed);
    }
    let mut left = shares(&counts, held.min(most), seed);
    let order = Stream::new(seed, Purpose::Split, 0).permutation(labels.len());
    let (mut out, mut stay) = (Vec::with_capacity(held), Vec::with_capacity(labels.len()));
    for sample in order {
        match &mut left[labels[sample as usize] as usize] {
            0 => stay.push(sample),
            left => {
                *left -= 1;
                out.push(sample);
            }
        }
    }
    out.sort_unstable();
    stay.sort_unstable();
    [stay, out]
}

/// How many samples of each class are held out, `held` in all, which is at most what leaves one of each class.
fn shares(counts: &[usize], held: usize, seed: u64) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let is_least_kept = counts.iter().filter(|&&count| count >= ENOUGH).count() <= held;
    let least = |class: usize| usize::from(is_least_kept && counts[class] >= ENOUGH);
    let most = |class: usize| counts[class].saturating_sub(1);
    // The exact share is held x count / total; differences to it are compared as whole numbers.
    let exact = |class: usize| held as i128 * counts[class] as i128;
    let mut shares: Vec<usize> = (0..counts.len())
        .map(|class| {
            ((exact(class) / total as i128) as usize).clamp(least(class), most(class).max(least(class)))
        })
        .collect();
    let rank = Stream::new(seed, Purpose::Split, 1).permutation(counts.len());
    let missing = |class: usize, share: usize| exact(class) - share as i128 * total as i128;
    let given: usize = shares.iter().sum();
    if given < held {
        let open = (0..counts.len()).filter(|&class| shares[class] < most(class));
        let mut heap: BinaryHeap<_> =
            open.map(|class| (missing(class, shares[class]), rank[class], class)).collect();
        for _ in given..held {
            let Some((_, place, class)) = heap.pop() else { break };
            shares[class] += 1;
            if shares[class] < most(class) {
                heap.push((missing(class, shares[class]), place, class));
            }
        }
    } else {
        let open = (0..counts.len()).filter(|&class| shares[class] > least(class));
        let mut heap: BinaryHeap<_> =
            open.map(|class| Reverse((missing(class, shares[class]), rank[class], class))).collect();
        for _ in held..given {
            let Some(Reverse((_, place, class))) = heap.pop() else { break };
            shares[class] -= 1;
            if shares[class] > least(class) {
                heap.push(Reverse((missing(class, shares[class]), place, class)));
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(counts: &[usize], held: usize, seed: u64) -> Vec<usize> {
        let labels: Vec<u32> = counts
            .iter()
            .enumerate()
            .flat_map(|(class, &count)| std::iter::repeat_n(class as u32, count))
            .collect();
        let [stay, out] = drawn_by_class(&labels, held, seed);
        let mut all = [stay.clone(), out.clone()].concat();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(place, &sample)| place as u32 == sample), "each sample once");
        assert!(stay.is_sorted() && out.is_sorted());
        let mut found = vec![0; counts.len()];
        out.iter().for_each(|&sample| found[labels[sample as usize] as usize] += 1);
        found
    }

    #[test]
    fn shares_are_those_of_the_largest_remainder() {
        assert_eq!(held(&[100, 50, 50], 20, 0), [10, 5, 5]);
        // 6.5, 2.6, 0.9: the whole parts give 8, the two largest remainders the rest.
        assert_eq!(held(&[65, 26, 9], 10, 3), [6, 3, 1]);
        // The class of 4 would have 0.4 of a sample.
        for seed in 0..20 {
            assert_eq!(held(&[4, 386], 39, seed), [1, 38], "seed {seed}");
        }
    }

    #[test]
    fn every_class_keeps_a_sample_to_train_on() {
        assert_eq!(held(&[2, 2, 2, 1], 6, 0), [1, 1, 1, 0]);
        assert_eq!(held(&[1, 9], 9, 0), [0, 8]);
        assert_eq!(held(&[3, 3], 4, 0), [2, 2]);
        // With single samples there is nothing to keep.
        assert_eq!(held(&[1; 10], 3, 0).iter().sum::<usize>(), 3);
    }

    #[test]
    fn equal_remainders_are_drawn_and_fewer_than_classes_still_add_up() {
        let first = held(&[5; 100], 50, 1);
        assert_eq!(first.iter().sum::<usize>(), 50);
        assert!(first.iter().all(|&share| share <= 1));
        assert_ne!(first, held(&[5; 100], 50, 2));
        assert_eq!(first, held(&[5; 100], 50, 1));
        // As many as classes: one of each, although a share of 1000 would take more.
        assert_eq!(held(&[1000, 4, 4], 3, 0), [1, 1, 1]);
        assert_eq!(held(&[1000, 4, 4], 2, 0).iter().sum::<usize>(), 2);
    }
}
