/**
 * @module
 * Time and randomness, injected so that the rest can be tested.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}
