//! `BLAKE2b` (RFC 7693) with a whole parameter block, of which libraries offer a part: the
//! generator of SEAL has inner nodes of depth 0.
#![expect(clippy::inline_always, reason = "vectors are as wide as the function that calls")]

/// Bytes of a block.
const BLOCK: usize = 128;

const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// Columns, then diagonals.
const QUARTERS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The parameter block (RFC 7693, section 2.5; BLAKE2X for `offset` and `xof_length`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    pub(crate) digest_length: u8,
    pub(crate) key_length: u8,
    pub(crate) fanout: u8,
    pub(crate) depth: u8,
    pub(crate) leaf_length: u32,
    pub(crate) offset: u32,
    pub(crate) xof_length: u32,
    pub(crate) inner_length: u8,
}

impl Node {
    /// A plain digest of so many bytes.
    pub(crate) const fn digest(bytes: u8) -> Self {
        Self {
            digest_length: bytes,
            key_length: 0,
            fanout: 1,
            depth: 1,
            leaf_length: 0,
            offset: 0,
            xof_length: 0,
            inner_length: 0,
        }
    }

    fn words(self) -> [u64; 8] {
        let first =
            u32::from_le_bytes([self.digest_length, self.key_length, self.fanout, self.depth]);
        [
            u64::from(first) | u64::from(self.leaf_length) << 32,
            u64::from(self.offset) | u64::from(self.xof_length) << 32,
            u64::from(self.inner_length) << 8,
            0,
            0,
            0,
            0,
            0,
        ]
    }

    /// The digest of `data`, after `key` in a block of its own if there is one: 64 bytes, of which
    /// the first [`Node::digest_length`] count.
    pub(crate) fn hash(self, key: &[u8], data: &[u8]) -> [u8; 64] {
        let mut state = start([self]);
        let mut bytes = Vec::with_capacity(BLOCK + data.len());
        if !key.is_empty() {
            bytes.extend_from_slice(key);
            bytes.resize(BLOCK, 0);
        }
        bytes.extend_from_slice(data);
        let whole = bytes.len();
        bytes.resize(whole.next_multiple_of(BLOCK).max(BLOCK), 0);
        let blocks = bytes.as_chunks::<BLOCK>().0;
        for (number, block) in blocks.iter().enumerate() {
            let last = number + 1 == blocks.len();
            let count = if last { whole } else { (number + 1) * BLOCK };
            compress(&mut state, &words(block).map(|word| [word]), count as u64, last);
        }
        let [digest] = digests(&state);
        digest
    }

    /// The digests of one text of 64 bytes by nodes at eight offsets from `offset` on, without a key:
    /// eight at once, in vectors where the processor has them.
    pub(crate) fn eight(self, offset: u32, data: &[u8; 64]) -> [[u8; 64]; 8] {
        let mut block = [0; BLOCK];
        block[..64].copy_from_slice(data);
        let nodes = std::array::from_fn(|at| {
            #[expect(clippy::cast_possible_truncation, reason = "below 8")]
            let offset = offset.wrapping_add(at as u32);
            Self { offset, ..self }
        });
        let mut state = start(nodes);
        let message = words(&block).map(|word| [word; 8]);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || compress(&mut state, &message, 64, true),
        );
        digests(&state)
    }
}

/// The states that nodes begin with, word by word.
fn start<const L: usize>(nodes: [Node; L]) -> [[u64; L]; 8] {
    let parameters = nodes.map(Node::words);
    std::array::from_fn(|at| parameters.map(|words| IV[at] ^ words[at]))
}

fn digests<const L: usize>(state: &[[u64; L]; 8]) -> [[u8; 64]; L] {
    std::array::from_fn(|lane| {
        let mut digest = [0; 64];
        for (to, words) in digest.as_chunks_mut::<8>().0.iter_mut().zip(state) {
            *to = words[lane].to_le_bytes();
        }
        digest
    })
}

fn words(block: &[u8; BLOCK]) -> [u64; 16] {
    std::array::from_fn(|at| u64::from_le_bytes(block.as_chunks::<8>().0[at]))
}

/// One block into each of L states.
#[inline(always)]
fn compress<const L: usize>(
    state: &mut [[u64; L]; 8],
    message: &[[u64; L]; 16],
    count: u64,
    last: bool,
) {
    let mut v: [[u64; L]; 16] =
        std::array::from_fn(|at| if at < 8 { state[at] } else { [IV[at - 8]; L] });
    v[12] = xor(v[12], [count; L]);
    v[14] = xor(v[14], [if last { u64::MAX } else { 0 }; L]);
    for round in 0..12 {
        let order = &SIGMA[round % 10];
        for (quarter, [a, b, c, d]) in QUARTERS.into_iter().enumerate() {
            for (at, turns) in [(0, [32, 24]), (1, [16, 63])] {
                v[a] = add(add(v[a], v[b]), message[order[2 * quarter + at]]);
                v[d] = xor(v[d], v[a]).map(|word| word.rotate_right(turns[0]));
                v[c] = add(v[c], v[d]);
                v[b] = xor(v[b], v[c]).map(|word| word.rotate_right(turns[1]));
            }
        }
    }
    for (at, words) in state.iter_mut().enumerate() {
        *words = xor(*words, xor(v[at], v[at + 8]));
    }
}

#[inline(always)]
fn add<const L: usize>(a: [u64; L], b: [u64; L]) -> [u64; L] {
    std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
}

#[inline(always)]
fn xor<const L: usize>(a: [u64; L], b: [u64; L]) -> [u64; L] {
    std::array::from_fn(|lane| a[lane] ^ b[lane])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(digest: &[u8], hex: &str) {
        let pairs = hex.as_bytes().as_chunks::<2>().0;
        let byte =
            |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        assert!(digest.starts_with(&pairs.iter().map(byte).collect::<Vec<_>>()), "{digest:02x?}");
    }

    /// RFC 7693, appendix A; the others of the reference implementation.
    #[test]
    fn digests_are_those_of_the_reference() {
        let abc = Node::digest(64).hash(b"", b"abc");
        begins(&abc, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1");
        let empty = Node::digest(32).hash(b"", b"");
        begins(&empty, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
        let key: Vec<u8> = (0..64).collect();
        let keyed = Node { key_length: 64, ..Node::digest(64) }.hash(&key, b"");
        begins(&keyed, "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786");
    }

    #[test]
    fn eight_at_once_are_eight() {
        let node = Node { fanout: 0, depth: 0, leaf_length: 64, ..Node::digest(64) };
        let data = [7; 64];
        for (offset, digest) in (40..).zip(node.eight(40, &data)) {
            assert_eq!(digest, Node { offset, ..node }.hash(b"", &data));
        }
    }
}
