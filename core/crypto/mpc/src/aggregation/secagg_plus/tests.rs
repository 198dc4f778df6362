mod attacks;
mod exact;
mod graph;
mod hostile;
mod stage;
mod twins;
