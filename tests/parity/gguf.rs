//! A GGUF file of the format's own writer: our values are those of its own reader, to the bit.

use crate::{checkpoints, files::golden};
use fresco_diffusion::{
    Device,
    weights::{self, Block, Storage, checkpoint, quantise_q8_0},
};
use fresco_tests::{golden::Golden, memory::Memory, synthetic};

const FILE: &str = "files.gguf";

pub async fn values(_: &Device) {
    let folder = Memory::new(&[(FILE, golden!("files.gguf"))]);
    let golden = Golden::new(golden!("gguf.safetensors"));
    let header = weights::header(&folder, FILE).await.expect("the header is whole");
    assert_eq!(header.notes["general.architecture"], "sd3");
    let names: Vec<&str> = header.tensors.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 15);
    for name in names {
        let entry = &header.tensors[name];
        let values = entry.read(&folder, name).await.expect("the tensor is read");
        let same = values.iter().zip(golden.values(name)).all(|(ours, theirs)| ours.to_bits() == theirs.to_bits());
        assert!(same && values.len() == golden.values(name).len(), "{name}: {:?}", entry.storage);
        assert_eq!(entry.shape.iter().product::<usize>(), values.len(), "{name}");
    }
    assert_eq!(header.tensors["conv.weight"].shape, golden.shape::<4>("conv.weight"));
    assert_eq!(header.tensors["odd.weight"].shape, [8, 4, 3, 3]);
}

/// A fused matrix of blocks is read in three parts.
pub async fn thirds(_: &Device) {
    let folder = Memory::new(&[(FILE, golden!("files.gguf"))]);
    let golden = Golden::new(golden!("gguf.safetensors"));
    let header = weights::header(&folder, FILE).await.expect("the header is whole");
    let components = checkpoint::listings(FILE, &header.tensors).expect("it has a text encoder");
    let listing = &components[&checkpoint::Part::TextEncoder];
    let whole = golden.values("transformer.resblocks.0.attn.in_proj_weight");
    for (part, expected) in ["q_proj", "k_proj", "v_proj"].iter().zip(whole.chunks_exact(16 * 32)) {
        let name = format!("text_model.encoder.layers.0.self_attn.{part}.weight");
        let entry = &listing.tensors[&name];
        assert_eq!(entry.shape, [16, 32]);
        assert_eq!(entry.read(&folder, &name).await.expect("the part is read"), expected, "{part}");
    }
}

/// Values to blocks of 8 bits and back are off by at most half a step of their block, and the bytes
/// are those of the format's own writer.
pub async fn to_blocks(_: &Device) {
    let values = synthetic::values("Q8_0", 3 * 64, 0.5, 0.0);
    let blocks = quantise_q8_0(&values).expect("they are whole blocks");
    let again = Storage::Block(Block::Q8_0).decode(&blocks);
    let golden = Golden::new(golden!("gguf.safetensors"));
    assert_eq!(again, golden.values("written.Q8_0"));
    for (block, decoded) in values.chunks_exact(32).zip(again.chunks_exact(32)) {
        let largest = block.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
        let worst = block.iter().zip(decoded).fold(0_f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= largest * 0.0045, "{worst} of {largest}");
    }
    assert_eq!(quantise_q8_0(&[0.0; 32]), Some(vec![0; 34]));
    assert_eq!(quantise_q8_0(&[0.0; 31]), None);
    assert_eq!(quantise_q8_0(&[f32::NAN; 32]), None);
    assert_eq!(quantise_q8_0(&[f32::MAX; 32]), None);
}

/// A safetensors file in f32 as GGUF of version 3: magic, counts, one note, where each tensor is, then their bytes.
fn as_gguf(file: &[u8]) -> Vec<u8> {
    const ALIGNED: usize = 32;
    let tensors = safetensors::SafeTensors::deserialize(file).expect("it is whole");
    let text = |text: &str| [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat();
    let mut head = b"GGUF".to_vec();
    head.extend(3_u32.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend(1_u64.to_le_bytes());
    head.extend([text("general.architecture"), 8_u32.to_le_bytes().to_vec(), text("sd1")].concat());
    let mut data = Vec::new();
    for (name, view) in tensors.iter() {
        head.extend(text(name));
        head.extend((view.shape().len() as u32).to_le_bytes());
        view.shape().iter().rev().for_each(|side| head.extend((*side as u64).to_le_bytes()));
        // ggml's number of f32.
        head.extend(0_u32.to_le_bytes());
        head.extend((data.len() as u64).to_le_bytes());
        data.extend_from_slice(view.data());
        data.resize(data.len().next_multiple_of(ALIGNED), 0);
    }
    head.resize(head.len().next_multiple_of(ALIGNED), 0);
    [head, data].concat()
}

/// A whole model in one GGUF file draws what its folder draws.
pub async fn picture(on: &Device) {
    checkpoints::same_picture("model.gguf", &as_gguf(&checkpoints::original_of_a().await), on).await;
}

/// Bytes of the 8-bit floating-point types of safetensors.
pub async fn eighths(_: &Device) {
    let decode = |storage: Storage, byte: u8| storage.decode(&[byte])[0];
    for (byte, value) in
        [(0x38, 1.0), (0xB8, -1.0), (0x7E, 448.0), (0x01, 0.001_953_125), (0x08, 0.015_625), (0x3C, 1.5)]
    {
        assert_eq!(decode(Storage::F8E4m3, byte), value, "{byte:#x}");
    }
    assert!(decode(Storage::F8E4m3, 0x7F).is_nan());
    for (byte, value) in [(0x3C, 1.0), (0xC0, -2.0), (0x7B, 57344.0), (0x01, 1.525_878_9e-5)] {
        assert_eq!(decode(Storage::F8E5m2, byte), value, "{byte:#x}");
    }
}
