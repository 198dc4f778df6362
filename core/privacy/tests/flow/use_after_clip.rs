use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::clip::Clip;

fn late(a: Private<Vec<f64>>, clip: Clip) -> Private<Vec<f64>> {
    let _ = a.clip_whole(clip);
    a
}

fn main() {}
