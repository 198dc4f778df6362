//! Residues without the zeros above them: words of `bits` bits, at most 57, one after the other, lowest
//! bits first. Eight words are `bits` bytes.

use nexus_field::rns::Modulus;

/// Appends the words, whose number is a multiple of eight.
pub(super) fn pack(words: &[u64], bits: u32, out: &mut Vec<u8>) {
    let bytes = bits as usize;
    for words in words.as_chunks::<8>().0 {
        let mut group = [0_u8; 64];
        for (at, word) in words.iter().enumerate() {
            let (from, shift) = (at * bytes / 8, at * bytes % 8);
            if let Some(place) = group.get_mut(from..).and_then(|rest| rest.first_chunk_mut()) {
                *place = (u64::from_le_bytes(*place) | word << shift).to_le_bytes();
            }
        }
        out.extend_from_slice(&group[..bytes]);
    }
}

/// Reads as many words as fit `words`; false if one is not below the modulus.
pub(super) fn unpack(packed: &[u8], modulus: Modulus, words: &mut [u64]) -> bool {
    let bytes = modulus.bits() as usize;
    let mask = (1_u64 << bytes) - 1;
    let mut largest = 0;
    for (words, packed) in words.as_chunks_mut::<8>().0.iter_mut().zip(packed.chunks_exact(bytes)) {
        let mut group = [0_u8; 64];
        group[..bytes].copy_from_slice(packed);
        for (at, word) in words.iter_mut().enumerate() {
            let (from, shift) = (at * bytes / 8, at * bytes % 8);
            let place = group.get(from..).and_then(|rest| rest.first_chunk()).copied();
            *word = u64::from_le_bytes(place.unwrap_or_default()) >> shift & mask;
            largest = largest.max(*word);
        }
    }
    largest < modulus.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_size_come_back_and_none_is_too_large() {
        for bits in 14..=50 {
            let modulus = nexus_field::rns::choose_in_steps(2, &[bits]).unwrap()[0];
            let top = modulus.value() - 1;
            let words: Vec<u64> =
                (0..64_u64).map(|at| (at * 0x9e37_79b9_7f4a_7c15) % top).collect();
            let words: Vec<u64> =
                words.into_iter().chain([top, 0, top, 0, 0, top, top, top]).collect();
            let (mut packed, mut back) = (Vec::new(), vec![0; 72]);
            pack(&words, bits, &mut packed);
            assert_eq!(packed.len(), 9 * bits as usize);
            assert!(unpack(&packed, modulus, &mut back));
            assert_eq!(back, words);
            packed.truncate(8 * bits as usize);
            pack(&[top + 1; 8], bits, &mut packed);
            assert!(!unpack(&packed, modulus, &mut back));
        }
    }
}
