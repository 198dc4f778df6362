use nexus_privacy::flow::*;

fn forge(bytes: &[u8]) -> Option<Clipped> {
    borsh::from_slice(bytes).ok()
}

fn main() {}
