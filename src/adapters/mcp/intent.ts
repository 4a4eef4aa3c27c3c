/**
 * @module
 * The intent argument, as every adapter puts it in and takes it off.
 */
export { addIntent, canCarryIntent, takeIntent } from '../intent.ts'
