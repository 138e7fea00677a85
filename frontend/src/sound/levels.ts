// How loud sound is.

export interface Level {
  /** Largest amplitude, 0 to 1. */
  peak: number;
  /** Mean square, 0 to 1. */
  power: number;
}

export function levelOf(samples: Float32Array): Level {
  let peak = 0;
  let sum = 0;
  for (const sample of samples) {
    const size = Math.abs(sample);
    if (size > peak) peak = size;
    sum += sample * sample;
  }
  return { peak, power: samples.length === 0 ? 0 : sum / samples.length };
}

/** Attenuation below full scale in whole dB, 0 to 127: how the wire states an amplitude. */
export function attenuation(amplitude: number): number {
  if (amplitude <= 0) return 127;
  return Math.min(127, Math.max(0, Math.round(-20 * Math.log10(amplitude))));
}

/** A meter's position, 0 to 1, for a mean square: -60 dBFS is 0, full scale is 1. */
export function meterValue(power: number): number {
  if (power <= 0) return 0;
  return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power)) / 60));
}
