//! Whether a scan of means (DC coefficients, first pass) has a code for each of its blocks.
//!
//! The first scan of a progressive frame is one. It is the only one behind which zune-jpeg 0.5.15 does not look for the
//! next marker, so that nothing can be put behind its data to make too few of them noticed. They are counted instead.

/// A Huffman table: how many codes there are of each length, and the values in order (T.81, C.2).
#[derive(Debug, Default)]
pub(super) struct QuantTable {
    lengths: [u8; 16],
    values: Vec<u8>,
}

impl QuantTable {
    /// The tables for means in the content of a DHT segment, with their numbers. What is damaged is left to the decoder.
    pub fn of_segment(mut content: &[u8]) -> Vec<(u8, QuantTable)> {
        let mut tables = Vec::new();
        while let Some((&number, rest)) = content.split_first() {
            let Some((lengths, rest)) = rest.split_first_chunk::<16>() else { break };
            let count = lengths.iter().map(|&length| usize::from(length)).sum();
            let Some((values, rest)) = rest.split_at_checked(count) else { break };
            if number < 4 {
                tables.push((number, QuantTable { lengths: *lengths, values: values.to_vec() }));
            }
            content = rest;
        }
        tables
    }

    /// The value of the next code, `None` if the bits end or have no meaning.
    fn decode(&self, bits: &mut impl Iterator<Item = u32>) -> Option<u8> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.lengths {
            code = code << 1 | bits.next()?;
            first <<= 1;
            let count = u32::from(count);
            if code >= first && code - first < count {
                return self.values.get(index + (code - first) as usize).copied();
            }
            first += count;
            index += count as usize;
        }
        None
    }
}

/// Whether the stretch of entropy-coded `data` has `units` MCUs of blocks that are coded by `tables`, each with its number of blocks.
pub(super) fn suffice(data: &[u8], tables: &[(&QuantTable, usize)], units: usize) -> bool {
    // A zero behind 0xff is no data.
    let bytes = data.iter().scan(0, |last, &byte| Some((std::mem::replace(last, byte), byte)));
    let mut bits = bytes
        .filter(|pair| *pair != (0xff, 0))
        .flat_map(|(_, byte)| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut block = |table: &QuantTable| {
        let size = table.decode(&mut bits)?;
        (0..size).all(|_| bits.next().is_some()).then_some(())
    };
    (0..units).all(|_| tables.iter().all(|&(table, count)| (0..count).all(|_| block(table).is_some())))
}
