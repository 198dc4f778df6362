//! Random bytes from the operating system, by the page: masks take thousands of small numbers,
//! and a system call for each costs more than all the rest.

use std::convert::Infallible;
use std::fmt;

use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, TryCryptoRng, TryRng, UnwrapErr};
use zeroize::{Zeroize, Zeroizing};

const PAGE: usize = 4096;

/// The operating system's generator. What has been handed out is wiped, and so is the rest when
/// it is dropped.
///
/// # Panics
/// When drawing, if the operating system has no random bytes: nothing can go on without.
pub(crate) struct SystemRng {
    page: Zeroizing<[u8; PAGE]>,
    used: usize,
}

impl fmt::Debug for SystemRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRng(..)")
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self { page: Zeroizing::new([0; PAGE]), used: PAGE }
    }
}

impl SystemRng {
    fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == PAGE {
                UnwrapErr(SysRng).fill_bytes(&mut *self.page);
                self.used = 0;
            }
            let fresh = &mut self.page[self.used..];
            let count = fresh.len().min(out.len());
            let (now, later) = out.split_at_mut(count);
            now.copy_from_slice(&fresh[..count]);
            fresh[..count].zeroize();
            self.used += count;
            out = later;
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_byte_is_handed_out_twice() {
        let mut random = SystemRng::default();
        let mut long = vec![0; 3 * PAGE];
        random.fill_bytes(&mut long);
        let mut words: Vec<u64> = (0..2 * PAGE / 8).map(|_| random.next_u64()).collect();
        words.extend(long.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
        let distinct: BTreeSet<_> = words.iter().copied().collect();
        assert_eq!(distinct.len(), words.len());
        let _ = random.next_u32();
        assert!(random.page[..4].iter().all(|byte| *byte == 0), "what was handed out is wiped");
    }
}
