//! SentencePiece models of the BPE kind, as a tokenizer: from `tokenizer.model`, or from the pieces
//! that a GGUF file lists.
//!
//! SentencePiece merges the pair of neighbours whose union has the best score; a BPE of the
//! `tokenizers` crate wants a ranked list of pairs. Each piece yields one pair for every way to cut
//! it into two pieces, ranked by its score.
//!
//! # Source
//!
//! `sentencepiece_model.proto` (Apache-2.0) for field numbers; the conversion to ranked merges is
//! that of transformers (`generate_merges`).

use std::path::Path;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, Tokenizer};

use crate::TokenizerError;

/// What stands for a blank in pieces.
const BLANK: char = '▁';

/// What a piece is; the numbers are those of SentencePiece and of GGUF alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// One entry of the vocabulary; its place is its id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) score: f32,
    pub(crate) kind: Kind,
}

/// Where a blank is put in front of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlankBefore {
    /// Nowhere.
    Nothing,
    /// The text, if it starts the sequence.
    FirstText,
    /// Every text between special tokens.
    EveryText,
}

/// A SentencePiece model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) blank_before: BlankBefore,
}

impl Model {
    /// The tokenizer; `path` and `field` are for messages.
    pub(crate) fn tokenizer(&self, path: &Path, field: &str) -> Result<Tokenizer, TokenizerError> {
        let invalid = |problem: String| TokenizerError::Invalid {
            path: path.to_path_buf(),
            field: field.to_owned(),
            problem,
        };
        let refused = |error: tokenizers::Error| invalid(error.to_string());
        let mut vocab = Vocab::default();
        for (id, piece) in (0_u32..).zip(&self.pieces) {
            if let Some(other) = vocab.insert(piece.text.clone(), id) {
                return Err(invalid(format!("pieces {other} and {id} are the same")));
            }
        }
        let unknown = self.pieces.iter().find(|piece| piece.kind == Kind::Unknown);
        let mut model = BPE::builder()
            .vocab_and_merges(vocab.clone(), self.merges(&vocab))
            .fuse_unk(true)
            .byte_fallback(self.pieces.iter().any(|piece| piece.kind == Kind::Byte));
        if let Some(unknown) = unknown {
            model = model.unk_token(unknown.text.clone());
        }
        let mut tokenizer = Tokenizer::new(model.build().map_err(refused)?);
        self.shape(&mut tokenizer).map_err(refused)?;
        let of_kind = |kind| {
            let pieces = self.pieces.iter().filter(move |piece| piece.kind == kind);
            pieces
                .map(|p| AddedToken::from(p.text.clone(), kind == Kind::Control).normalized(false))
                .collect::<Vec<_>>()
        };
        tokenizer.add_tokens(of_kind(Kind::UserDefined)).map_err(refused)?;
        tokenizer.add_special_tokens(of_kind(Kind::Control)).map_err(refused)?;
        Ok(tokenizer)
    }

    /// Sets how blanks become pieces and pieces blanks.
    fn shape(&self, tokenizer: &mut Tokenizer) -> Result<(), tokenizers::Error> {
        let blank = BLANK.to_string();
        let mut decoders: Vec<DecoderWrapper> = vec![
            Replace::new(blank.clone(), " ")?.into(),
            ByteFallback::new().into(),
            Fuse::new().into(),
        ];
        if self.blank_before == BlankBefore::FirstText {
            let metaspace = Metaspace::new(BLANK, PrependScheme::First, false);
            tokenizer.with_pre_tokenizer(Some(metaspace));
        } else {
            let mut steps: Vec<NormalizerWrapper> = Vec::new();
            if self.blank_before == BlankBefore::EveryText {
                steps.push(Prepend::new(blank.clone()).into());
            }
            steps.push(Replace::new(" ", blank)?.into());
            tokenizer.with_normalizer(Some(Normalizers::new(steps)))?;
        }
        if self.blank_before != BlankBefore::Nothing {
            decoders.push(Strip::new(' ', 1, 0).into());
        }
        tokenizer.with_decoder(Some(Decoders::new(decoders)));
        Ok(())
    }

    /// Pairs to merge, the best one first.
    fn merges(&self, vocab: &Vocab) -> Vec<(String, String)> {
        let mut merges = Vec::new();
        for (id, piece) in self.pieces.iter().enumerate() {
            if piece.kind != Kind::Normal {
                continue;
            }
            for (at, _) in piece.text.char_indices().skip(1) {
                let (left, right) = piece.text.split_at(at);
                if vocab.contains_key(left) && vocab.contains_key(right) {
                    merges.push((piece.score, id, left, right));
                }
            }
        }
        merges.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.len().cmp(&b.2.len()))
        });
        merges.into_iter().map(|(_, _, left, right)| (left.to_owned(), right.to_owned())).collect()
    }

    /// Reads a `tokenizer.model`, a protocol buffer.
    pub(crate) fn parse(bytes: &[u8], legacy: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        // Defaults of the format: a unigram model with a blank in front.
        let (mut model_type, mut blank_before, mut has_rules) = (1, true, false);
        for field in Fields(bytes) {
            match field? {
                (1, Wire::Bytes(piece)) => pieces.push(parse_piece(piece, pieces.len())?),
                (2, Wire::Bytes(trainer)) => {
                    for field in Fields(trainer) {
                        if let (3, Wire::Number(value)) = field? {
                            model_type = value;
                        }
                    }
                }
                (3, Wire::Bytes(normalizer)) => {
                    for field in Fields(normalizer) {
                        match field? {
                            (2, Wire::Bytes(rules)) => has_rules = !rules.is_empty(),
                            (3, Wire::Number(value)) => blank_before = value != 0,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if model_type != 2 {
            return Err(format!("model type {model_type} is not known here, only 2 (BPE)"));
        }
        if has_rules {
            return Err("rules of normalisation are not known here".to_owned());
        }
        let blank_before = match (blank_before, legacy) {
            (false, _) => BlankBefore::Nothing,
            (true, false) => BlankBefore::FirstText,
            (true, true) => BlankBefore::EveryText,
        };
        Ok(Self { pieces, blank_before })
    }
}

fn parse_piece(bytes: &[u8], id: usize) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|e| format!("piece {id}: {e}"))?;
                piece.text = text.to_owned();
            }
            (2, Wire::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Wire::Number(kind)) => {
                piece.kind = i64::try_from(kind)
                    .ok()
                    .and_then(Kind::from_number)
                    .ok_or_else(|| format!("piece {id}: unknown type {kind}"))?;
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// The value of a field on the wire.
enum Wire<'a> {
    Number(u64),
    Eight,
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of a protocol buffer, in their order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], String> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (head, rest) = self.0.split_at_checked(len).ok_or("cut short")?;
        self.0 = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than ten bytes".to_owned())
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), String> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Wire::Eight
            }
            2 => {
                let len = self.varint()?;
                Wire::Bytes(self.take(len)?)
            }
            5 => {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(self.take(4)?);
                Wire::Four(bytes)
            }
            other => return Err(format!("unknown wire type {other}")),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // Nothing behind a broken field can be read.
            self.0 = &[];
        }
        Some(field)
    }
}
