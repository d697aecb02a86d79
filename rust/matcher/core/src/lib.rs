//! The pure core of the gateway: no I/O, no clock, no Python.
//!
//! Time is always an argument. The market process drives [`engine::Engine`] through the binding in the
//! crate above; an order matcher can use [`scan`], [`fixed`], [`topic`] and [`last`] just as well.

pub mod answer;
pub mod book;
pub mod conflate;
pub mod engine;
pub mod fixed;
pub mod frame;
pub mod instrument;
pub mod json_out;
pub mod kite;
pub mod last;
pub mod pack;
pub mod queue;
pub mod reader;
pub mod scan;
pub mod simulate;
pub mod stats;
pub mod topic;
pub mod turn;
pub mod types;
