import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { alarmsOf, condition, widgetsOf } from '../scripts/dashboard-numbers';
import { PICTURE, PICTURE_LINK, linkTo } from '../scripts/draw-dashboard';
import { demoTemplate, resources } from './support';

const demo = demoTemplate();
const page = fs.readFileSync(path.join(path.dirname(PICTURE), 'operating.md'), 'utf8');
const picture = fs.readFileSync(PICTURE, 'utf8');

/** The alarms that the page's table names: `Name` ≥ threshold (or <), and how many minutes that must hold. */
function documented(): { name: string; threshold: number; minutes: number }[] {
  const rows = page.split('\n').filter((line) => line.startsWith('| ') && /`\w+` [≥<] \d/.test(line));
  const cells = rows.map((row) => row.split('|')[3]!);
  return cells
    .flatMap((cell) => [...cell.matchAll(/`(\w+)` [≥<] (\d[\d,]*(?<=\d))[^;]*?(?:, (\d+) min[^;]*)?(?=;|$)/g)])
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
    for (const alarm of alarmsOf(demo)) {
      const when = condition(alarm, alarm.threshold.toLocaleString('en')).replace('<', '&lt;');
      expect(picture).toMatch(new RegExp(`>[\\w, ]*\\b${alarm.name}\\b[\\w, ]* ${when}<`));
    }
  });

  it('has the section that the description of each alarm links to', () => {
    const base = 'https://docs.rs/lambda-streams/latest/lambda_streams/guide/operating/index.html';
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase().replaceAll(' ', '-'));
    const links = Object.values(resources(demo, 'AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => /Runbook: (.+)#([a-z-]+)$/.exec(Properties.AlarmDescription)!,
    );
    expect(links).toHaveLength(18);
    expect(new Set(links.map(([, page]) => page))).toEqual(new Set([base]));
    expect(links.map(([, , anchor]) => anchor).filter((anchor) => !headings.includes(anchor!))).toEqual([]);
  });

  it('has one picture for every host', () => {
    expect(fs.readFileSync(PICTURE_LINK, 'utf8')).toBe(linkTo(picture));
  });
});
