//! A tower layer that turns function calls back into the calls that the client declared.
mod calls;
mod custom_input;
mod echo;
mod events;
mod item;
mod layer;
mod restorer;
mod string;

pub use self::{
    custom_input::{Input, InputDecoder, InputForm, decode_cut_input, decode_input},
    layer::{CallRestore, CallRestoreLayer, StreamRestorer},
    restorer::Restorer,
    string::StringDecoder,
};
