/** Numbers and verdicts in words. */

import type { Verdict, VerdictWord } from "./api";

const NUMBERS = new Intl.NumberFormat("en-GB");

export function number(value: number): string {
  return NUMBERS.format(value);
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

export function percent(fraction: number): string {
  const whole = Math.round(fraction * 100);
  // What is not certain is never called certain.
  return `${Math.min(99, Math.max(1, whole))} %`;
}

export function bytes(count: number): string {
  if (count < 1e6) return `${number(Math.max(1, Math.round(count / 1e3)))} kB`;
  return `${number(Math.round(count / 1e5) / 10)} MB`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return "less than a minute";
  if (seconds < 5400) return `about ${counted(Math.round(seconds / 60), "minute")}`;
  return `about ${counted(Math.round(seconds / 3600), "hour")}`;
}

export const VERDICTS: Record<VerdictWord, string> = {
  present: "Shows it",
  unsure: "Perhaps",
  "not shown": "Hardly",
};

export function verdictInWords(verdict: Verdict): string {
  return `${VERDICTS[verdict.verdict]}, ${percent(verdict.probability)}`;
}

/** A name's last part: what people call the file. */
export function fileName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

export function folderOf(name: string): string {
  const end = name.lastIndexOf("/");
  return end < 0 ? "" : name.slice(0, end);
}

export function date(when: string): string {
  const parsed = new Date(when);
  if (Number.isNaN(parsed.valueOf())) return when;
  return parsed.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}
