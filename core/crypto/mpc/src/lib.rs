//! Secret sharing, threshold keys, secure aggregation and private set intersection.

pub mod aggregation;
mod identity;
pub mod psi;
pub mod quantise;
mod seal;
pub mod sharing;
pub mod threshold;

pub use identity::{Identity, PublicKey, Signature, SignatureError};
pub use seal::{OVERHEAD_BYTES, PACKET_KEY_BYTES, PacketKey, PacketSecret, SealError, Sealed};
