use nexus_privacy::flow::*;

fn early<M: Masker>(a: Clipped, masker: &mut M) {
    let _ = a.mask(masker);
}

fn main() {}
