//! pk
use gateway_matcher_core::{pack, scan};
use std::time::Instant;
fn main() {
    let text = std::fs::read("/tmp/depth.json").unwrap();
    let (mut a, mut b) = (Vec::with_capacity(2000), Vec::with_capacity(2000));
    for _ in 0..3 {
        let n = 300000;
        let t = Instant::now(); for _ in 0..n { a.clear(); pack::pack(std::hint::black_box(&text), &mut a); } let p = t.elapsed().as_nanos() / n;
        let t = Instant::now(); for _ in 0..n { b.clear(); pack::unpack(std::hint::black_box(&a), &mut b); } let u = t.elapsed().as_nanos() / n;
        let t = Instant::now(); for _ in 0..n { let _ = std::hint::black_box(scan::scan(std::hint::black_box(&text))); } let s = t.elapsed().as_nanos() / n;
        println!("{} -> {} pack {} unpack {} scan {} ns", text.len(), a.len(), p, u, s);
    }
}
