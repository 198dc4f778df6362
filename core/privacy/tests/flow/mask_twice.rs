use nexus_privacy::flow::*;

fn twice<M: Masker>(a: Noised<Share>, masker: &mut M) {
    let _ = a.mask(masker);
    let _ = a.mask(masker);
}

fn main() {}
