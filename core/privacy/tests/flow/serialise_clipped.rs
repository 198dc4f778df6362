use nexus_privacy::flow::*;

fn leak(secret: Clipped) -> Vec<u8> {
    borsh::to_vec(&secret).unwrap_or_default()
}

fn main() {}
