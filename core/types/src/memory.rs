//! What the allocator does with memory that it is given back.

/// Below the 32 MiB from which on glibc learns nothing.
const KEPT_BYTES: usize = 24 << 20;

/// Has glibc keep what it is given back, up to twice 24 MiB: its limits follow the largest block that
/// was ever freed. Otherwise buffers from 128 KiB on go back to the kernel each time they are done with,
/// and cost a page fault for every 4,096 bytes when they are needed again: a tenth of a training run, a
/// quarter of an encrypted product of degree 16384.
///
/// The block that teaches it is never touched, and takes no memory. Does nothing elsewhere.
pub fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_BYTES)));
}
