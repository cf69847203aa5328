mod calls;
mod items;
mod outputs;
