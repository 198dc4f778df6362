use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::clip::Clip;

fn again(a: Clipped, clip: Clip) -> Clipped {
    a.clip_whole(clip)
}

fn main() {}
