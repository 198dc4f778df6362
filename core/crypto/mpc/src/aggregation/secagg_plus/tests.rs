mod attacks;
mod dealers;
mod exact;
mod graph;
mod hostile;
mod stage;
mod twins;
