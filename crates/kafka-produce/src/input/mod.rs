//! Where input comes from, and how it is cut into pieces that become one record each. It knows nothing of records.

mod cut;
mod pieces;
mod source;

pub(crate) use cut::Cut;
pub(crate) use pieces::{Piece, Pieces};
pub(crate) use source::Sources;
