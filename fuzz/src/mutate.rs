//! Inputs from seeds, by a number: the same number gives the same input on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    /// A generator whose whole sequence is fixed by `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// The input of a number: a seed with one to eight mutations.
pub fn input(number: u64, seeds: &[Vec<u8>], dictionary: &[&str]) -> Vec<u8> {
    const LONGEST: usize = 64 * 1024;
    let mut random = Random::new(number);
    let mut data = match random.below(8) {
        0 => Vec::new(),
        _ => seeds[random.below(seeds.len())].clone(),
    };
    // Whole files leave little time for any one place in them.
    if random.below(3) > 0 && data.len() > 600 {
        let start = random.below(data.len() - 600);
        data = data[start..start + 600].to_vec();
    }
    for _ in 0..=random.below(8) {
        mutate(&mut data, seeds, dictionary, &mut random);
        data.truncate(LONGEST);
    }
    data
}

fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[&str], random: &mut Random) {
    let at = random.below(data.len() + 1);
    let end = at + random.below((data.len() - at).min(64) + 1);
    match random.below(8) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => drop(data.drain(at..end)),
        2 => {
            let copy = data[at..end].to_vec();
            let to = random.below(data.len() + 1);
            data.splice(to..to, copy.repeat(1 + random.below(20)));
        }
        3 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let until = from + random.below((other.len() - from).min(200) + 1);
            data.splice(at..end, other[from..until].iter().copied());
        }
        4 => {
            let piece = dictionary[random.below(dictionary.len())];
            data.splice(at..at, piece.repeat(1 + random.below(60)).into_bytes());
        }
        5 => data.truncate(at),
        _ => {
            let piece = dictionary[random.below(dictionary.len())];
            data.splice(at..end, piece.bytes());
        }
    }
}
