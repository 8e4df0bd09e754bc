import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { alarmsOf, widgetsOf } from '../scripts/dashboard-numbers';
import { PICTURE, PICTURE_LINK, linkTo } from '../scripts/draw-dashboard';
import { demoTemplate } from './support';

const demo = demoTemplate();
const page = fs.readFileSync(path.join(path.dirname(PICTURE), 'operating.md'), 'utf8');
const picture = fs.readFileSync(PICTURE, 'utf8');

/** The alarms that the page's table names: `Name` ≥ threshold, and how many minutes that must hold. */
function documented(): { name: string; threshold: number; minutes: number }[] {
  const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.includes('≥'));
  const cells = rows.map((row) => row.split('|')[3]!);
  return cells
    .flatMap((cell) => [...cell.matchAll(/`(\w+)` ≥ (\d[\d,]*(?<=\d))[^;]*?(?:, (\d+) min[^;]*)?(?=;|$)/g)])
    .map(([, name, threshold, minutes]) => ({
      name: name!,
      threshold: Number(threshold!.replaceAll(',', '')),
      minutes: Number(minutes ?? 1),
    }));
}

describe('the page about operating', () => {
  it('names every alarm with its threshold and its time, and no other', () => {
    const alarms = alarmsOf(demo).map(({ name, threshold, periods, minutes }) => ({ name, threshold, minutes: periods * minutes }));
    const byName = (one: { name: string }, other: { name: string }): number => one.name.localeCompare(other.name);
    expect(documented().sort(byName)).toEqual(alarms.sort(byName));
  });

  it('shows the widgets of the dashboard, in their order', () => {
    const titles = widgetsOf(demo).map(({ title }) => title);
    const shown = [...picture.matchAll(/<text [^>]*class="[ht]">([^<]*)</g)].map(([, title]) => title);
    expect(shown.slice(1)).toEqual(titles);
  });

  it('shows every metric of the dashboard, and every threshold in its graph', () => {
    for (const { label } of widgetsOf(demo).flatMap(({ series }) => series)) {
      expect(picture).toContain(`>${label}`);
    }
    for (const { name, threshold } of alarmsOf(demo)) {
      expect(picture).toMatch(new RegExp(`>[\\w, ]*\\b${name}\\b[\\w, ]* ≥ ${threshold.toLocaleString('en')}<`));
    }
  });

  it('has one picture for every host', () => {
    expect(fs.readFileSync(PICTURE_LINK, 'utf8')).toBe(linkTo(picture));
  });
});
