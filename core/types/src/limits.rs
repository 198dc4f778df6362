//! Bounds on everything that comes from outside. A value above its bound is refused by name.

/// Owners in one job.
pub const MAX_OWNERS: u32 = 65_536;
/// Trainable parameters of one model: 256 Mi, one gibibyte of `f32`.
pub const MAX_PARAMETERS: usize = 1 << 28;
/// Rounds of one job.
pub const MAX_ROUNDS: u32 = 1_000_000;
/// Bytes of one protocol message: two vectors of [`MAX_PARAMETERS`] and their frame.
pub const MAX_MESSAGE_BYTES: usize = 8 * MAX_PARAMETERS + (1 << 20);
/// Bytes of a text that one party sends another to show to a person.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Numbers in a vector of summed statistics.
pub const MAX_STATISTICS: usize = 1 << 20;
/// Bytes of a key in a [`crate::Store`].
pub const MAX_KEY_BYTES: usize = 200;
