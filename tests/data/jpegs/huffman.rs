//! Huffman tables for the encoder (T.81, annexes C and K.3).

use super::encoder::segment;

/// T.81 table K.5: how many codes there are of each length, and what they mean.
const AC_LENGTHS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
const AC_VALUES: [u8; 162] = [
    1, 2, 3, 0, 4, 17, 5, 18, 33, 49, 65, 6, 19, 81, 97, 7, 34, 113, 20, 50, 129, 145, 161, 8, 35, 66, 177,
    193, 21, 82, 209, 240, 36, 51, 98, 114, 130, 9, 10, 22, 23, 24, 25, 26, 37, 38, 39, 40, 41, 42, 52, 53,
    54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83, 84, 85, 86, 87, 88, 89, 90, 99, 100, 101, 102,
    103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 131, 132, 133, 134, 135, 136, 137, 138, 146,
    147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180, 181,
    182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215, 216,
    217, 218, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246, 247, 248, 249,
    250,
];

/// A Huffman table: code and length of every symbol.
pub struct Table {
    lengths: Vec<u8>,
    values: Vec<u8>,
    pub codes: Vec<(u32, u8)>,
}

impl Table {
    fn new(lengths: &[u8], values: &[u8]) -> Table {
        let mut codes = vec![(0, 0); 256];
        let (mut code, mut next) = (0, values.iter());
        for (bits, &count) in (1..).zip(lengths) {
            for &value in next.by_ref().take(usize::from(count)) {
                codes[usize::from(value)] = (code, bits);
                code += 1;
            }
            code *= 2;
        }
        Table { lengths: lengths.to_vec(), values: values.to_vec(), codes }
    }

    pub fn dc(flat: bool) -> Table {
        let values: Vec<u8> = (0..12).collect();
        let standard: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        Table::new(if flat { &[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] } else { &standard }, &values)
    }

    pub fn ac(flat: bool) -> Table {
        let values: Vec<u8> = (0..=255).collect();
        let lengths = [0, 0, 0, 0, 0, 0, 0, 254, 2, 0, 0, 0, 0, 0, 0, 0];
        if flat { Table::new(&lengths, &values) } else { Table::new(&AC_LENGTHS, &AC_VALUES) }
    }

    pub fn segment(&self, class: u8) -> Vec<u8> {
        segment(0xc4, &[&[class][..], &self.lengths, &self.values].concat())
    }
}
