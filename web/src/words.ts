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

/** What the service says, as a sentence. */
export function sentence(text: string | null | undefined): string {
  const told = (text ?? "").trim();
  if (!told) return "";
  return told.charAt(0).toUpperCase() + told.slice(1) + (/[.!?]$/.test(told) ? "" : ".");
}

export function bytes(count: number): string {
  if (count < 1 << 20) return `${number(Math.max(1, Math.round(count / 1024)))} kB`;
  return `${number(Math.round((10 * count) / (1 << 20)) / 10)} MB`;
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

/** What a picture is called: its title in the user's own table, or its file's name. */
export function titleOf({ name, columns }: { name: string; columns?: Record<string, string> | null }): string {
  const title = Object.entries(columns ?? {}).find(([key]) => /^(title|titel|titre)$/i.test(key));
  return title?.[1] || fileName(name);
}

export function date(when: string): string {
  const parsed = new Date(when);
  if (Number.isNaN(parsed.valueOf())) return when;
  return parsed.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}
