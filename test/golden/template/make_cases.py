#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make cases.json: small templates, their data, and what Jinja makes of them.

The oracle is jinja2's ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls and
the additions that chat templates expect (tojson as json.dumps, raise_exception, strftime_now,
generation). A case is {"template", "data", "text"} or {"template", "data", "error": true}.

    python3 make_cases.py > cases.json          needs jinja2 >= 3.1.6
"""
import datetime
import json
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1752148800  # 2025-07-10T12:00:00Z

DATA = {
    "n": 3, "z": 0, "f": 2.5, "big": 1e16, "s": "Hello World", "e": "", "u": "Ünï ß 你好 🤗", "t": True, "no": None,
    "l": [3, 1, 2], "names": ["bob", "Alice", "carol", "alice"], "d": {"b": 1, "a": "x", "C": None},
    "users": [{"name": "Ann", "age": 30, "ok": True}, {"name": "bob", "age": 25}, {"name": "Cid", "age": 30, "ok": False}],
    "nested": {"x": {"y": [{"z": "deep"}]}}, "items": [1, 2], "html": "<b>\"q\" & 'r'</b>",
    "w": "  pad \n", "lines": "one\ntwo\n\nthree\n", "mixed": [1, "a", None, True, 1.5, {"k": [1]}],
}

CASES = r"""
{{ n }}|{{ f }}|{{ big }}|{{ t }}|{{ no }}|{{ l }}|{{ d }}|{{ mixed }}|{{ u }}|{{ [u, s] }}
{{ 1.0 }} {{ 1e100 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456789012345680.0 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ -0.0 }} {{ 1_000 }} {{ 0x1F }} {{ 0o17 }} {{ 0b11 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 0.5 }} {{ 4 / 2 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ -n ** 2 }} {{ 2 ** 3 ** 2 }} {{ -2 + 3 * 4 - 5 }} {{ 1 ~ 2 + 3 ~ 4 }} {{ 'a' ~ none ~ true ~ 1.0 ~ missing }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 != 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 == true }} {{ 'a' == 1 }} {{ (1, 2) == [1, 2] }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 'ell' in s }} {{ 'x' not in s }} {{ 3 in l }} {{ 'a' in d }} {{ 'q' not in d }} {{ 1 in (1, 2) }} {{ '' in '' }} {{ 2 in range(0, 10, 2) }} {{ 1.0 in l }}
{{ 1 in s }}
{{ 1 in 5 }}
{{ 1 and 0 or 'x' }} {{ not 1 or not 0 }} {{ '' or [] or {} or none }} {{ not none and 'y' }}
{{ 'a' if t else 'b' }}{{ 'c' if z }}{{ 'd' if z else 'e' if no else 'f' }}
{{ ('x' if z).y }}
{{ s[0] }}{{ s[-1] }}{{ s[1:4] }}{{ s[::-1] }}{{ s[::2] }}{{ s[-3:] }}{{ s[5:2] }}{{ u[4] }}{{ u[6:8] }}{{ u[::-1] }}{{ s[99] }}{{ l[1:] }}{{ l[::-1] }}{{ (1, 2, 3)[:2] }}{{ l[-1] }}{{ l[7] }}
{{ range(5)[1:3] }} {{ range(10)[::3] }} {{ range(3) }} {{ range(1, 9, 2) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }} {{ range(4)[-1] }}
{{ range(100001) }}
{{ range(1, 2, 0) }}
{{ l['a'] }}|{{ d['zz'] }}|{{ s.foo }}|{{ missing }}|{{ d.a }}|{{ d['b'] }}|{{ nested.x.y[0].z }}|{{ nested['x']['y'].0['z'] }}
{{ missing.foo }}
{{ d.zz.yy }}
{{ missing() }}
{{ missing + 1 }}
{{ 'a' + 1 }}
{{ 'a' + missing }}
{{ no.x }}|{{ no['x'] }}|{{ n.x }}|{{ n[0] }}
{{ no[1:] }}
{{ [1, 'a', none, true, [2.0], {'k': 'v'}, (1,), ()] }} {{ {'a': 1, 2: 'b', none: [], 'x': "it's"} }} {{ 'a"b' }} {{ ["a'b", 'a"b', "a'\"b", 'tab\t\n\\', '\x00\x7f', 'é\u200b\U0001F600'] }}
{{ 1, 2 }} {{ (1, ) }} {{ () }} {{ [1, 2, ] }} {{ {'a': 1, } }} {{ 'a' 'b' "c" }}
{{ '\n\t\\\'\"\x41\u00e9\101\q' }} {{ "it's" }} {{ 'a\
b' }}
{% for x in l %}{{ x }}{{ ',' if not loop.last }}{% endfor %}
{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nextitem }}/{{ loop.depth }};{% endfor %}
{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} of {{ loop.length }} {{ loop.last }} {% else %}none{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}{% for x in missing %}x{% else %}undef{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %}{% for k in d.keys() %}{{ k }}{% endfor %}
{% for c in u %}[{{ c }}]{% endfor %}{% for a, (b, c) in [(1, (2, 3)), (4, [5, 6])] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for a, b in ['xy', 'zw'] %}{{ b }}{{ a }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a, b in [(1,)] %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}never{% endfor %}
{% for x in l %}{% for y in l %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{{ loop.index }}{% endfor %}
{% for x in [[1, [2, []]], [3, []]] recursive %}{% if x is iterable %}({{ loop(x) }}){{ loop.depth }}{% else %}{{ x }}{% endif %}{% endfor %}
{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}
{% set ns = namespace(x=1, y=[]) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.zz }}{{ ns }}
{% set d.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set c = 1, %}{{ c }}{% set (p, q) = 'xy' %}{{ p }}
{% set x %}a {{ n }} b{% endset %}[{{ x }}]{% set y | upper | replace('A', 'z') %}abc{{ x }}{% endset %}{{ y }}
{% if z %}a{% elif no %}b{% elif e %}c{% elif l %}d{% else %}e{% endif %}{% if missing %}x{% endif %}{% if {} %}x{% endif %}{% if 0.0 %}x{% endif %}
{% if t %}{% set inner = 5 %}{% endif %}{{ inner }}{% with a = 1, b = 2 %}{{ a + b }}{% set c = 3 %}{% endwith %}{{ a }}{{ c }}
{% with a = 1, b = a %}[{{ b }}]{% endwith %}
{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, c=5) }}{{ m(b=3, a=4) }}{{ m() }}{{ m.name }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}{{ m(*[1, 2]) }}{{ m(**{'a': 5, 'q': 6}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}{% macro g() %}{{ later }}{% endmacro %}{% set later = 'L' %}{{ g() }}
{% macro box(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call box('b') %}in {{ n }}{% endcall %}{% macro l2() %}{% for x in [1, 2] %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) l2() %}[{{ x }}]{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}
{% macro m() %}{{ caller }}{{ caller is defined }}{% endmacro %}{{ m() }}
{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b') | trim %}  aaa {% endfilter %}
{% generation %}gen {{ n }}{% set q = 1 %}{% endgeneration %}{{ q }}
{% raw %}{{ not }} {% if %}{% endraw %} {%- raw -%}  x  {%- endraw -%} y
{# comment #}a{#- c -#} b {#+ c +#} c
  {% if t %}
  x
  {%- if t -%}  y  {%- endif %}

  {{ n }}
  {%+ if t %} z {% endif +%}
end
{{ n -}}   a   {{- n }}
{%- for x in l -%} {{ x }} {%- endfor -%}
a
{% set x = 1 %}

b
   {# c #}
d
{{ s|upper }}{{ s|lower }}{{ u|upper }}{{ 'ǆ ŉ ΑΣ ΑΣ.'|lower }}{{ 'ﬁx'|title }}{{ 'hello wORLD-foo (bar) it\'s'|title }}{{ 'hello wORLD it\'s'.title() }}{{ 'hELLO wORLD'|capitalize }}{{ 'ßx'.capitalize() }}{{ 'ß'.upper() }}
[{{ w|trim }}][{{ w.strip() }}][{{ w.lstrip() }}][{{ w.rstrip() }}][{{ 'xxaxx'.strip('x') }}][{{ 'xyaxy'|trim('xy') }}][{{ '\u00a0a\u2003'.strip() }}][{{ 'éaé'.strip('é') }}]
{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a b c d'.split(' ', 2) }}{{ 'a b c'.rsplit(' ', 1) }}{{ ' a b  c '.split(none, 1) }}{{ ' a b  c '.rsplit(none, 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'aXbXc'.split('X', maxsplit=1) }}
{{ 'a'.split('') }}
{{ lines.splitlines() }}{{ lines.splitlines(true) }}{{ 'a-b-c'.partition('-') }}{{ 'a-b-c'.rpartition('-') }}{{ 'abc'.partition('x') }}{{ 'abc'.rpartition('x') }}
{{ s.startswith('Hell') }}{{ s.endswith(('x', 'ld')) }}{{ s.startswith('lo', 3) }}{{ s.find('o') }}{{ s.rfind('o') }}{{ s.find('zz') }}{{ u.find('你') }}{{ s.count('o') }}{{ s.index('W') }}{{ 'aaa'.count('aa') }}{{ ''.count('') }}{{ s.find('o', 5) }}{{ s.find('o', -3, -1) }}
{{ s.index('zz') }}
{{ s.replace('o', '0') }}{{ s.replace('o', '0', 1) }}{{ 'ab'.replace('', '-') }}{{ s|replace('l', 'L', 2) }}{{ 12|replace(1, 'x') }}{{ 'abc'.removeprefix('a').removesuffix('c') }}
{{ 'a'.isdigit() }}{{ '12'.isdigit() }}{{ 'ab1'.isalnum() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'aB'.islower() }}{{ 'AB'.isupper() }}{{ 'x'.center(5, '*') }}{{ 'x'.ljust(3) }}|{{ 'x'.rjust(3) }}{{ '-7'.zfill(4) }}{{ 'ab'|center(7) }}|{{ ''.isalpha() }}
{{ '-'.join(['a', 'b']) }}{{ l|join(', ') }}{{ l|join }}{{ users|join(', ', attribute='name') }}{{ [1, none, 'x', missing]|join('+') }}{{ 'abc'|join('.') }}
{{ '-'.join([1]) }}
{{ l|sort }}{{ l|sort(reverse=true) }}{{ names|sort }}{{ names|sort(case_sensitive=true) }}{{ users|sort(attribute='age,name')|map(attribute='name')|list }}{{ users|sort(attribute='age', reverse=true)|map(attribute='name')|join }}
{{ [1, 'a']|sort }}
{{ d|dictsort }}{{ {'b': 2, 'a': 3}|dictsort(by='value') }}{{ {'b': 2, 'A': 3}|dictsort(true) }}{{ {'b': 2, 'a': 3}|dictsort(false, 'key', true) }}
{{ names|unique|list }}{{ [1, 1.0, true, 2, '1']|unique|list }}{{ names|unique(true)|join }}{{ users|unique(attribute='age')|map(attribute='name')|list }}
{{ l|min }}{{ l|max }}{{ names|min }}{{ names|max }}{{ []|min }}{{ users|max(attribute='age') }}{{ l|sum }}{{ users|sum(attribute='age') }}{{ [0.1, 0.2]|sum(start=1) }}
{{ [1]|sum(start='a') }}
{{ users|map(attribute='ok', default='?')|list }}{{ names|map('upper')|list }}{{ users|map(attribute='name')|map('length')|list }}{{ ['a-b']|map('replace', '-', '+')|list }}{{ nested.x.y|map(attribute='z')|first }}{{ [[1, 2], [3, 4]]|map('last')|list }}{{ [[1, 2], [3, 4]]|map(attribute=1)|list }}
{{ names|map('nosuch')|list }}
{{ names|map|list }}
{{ l|select('odd')|list }}{{ l|reject('gt', 1)|list }}{{ [0, 1, '', 'a', none]|select|list }}{{ users|selectattr('ok')|map(attribute='name')|list }}{{ users|selectattr('ok', 'defined')|list|length }}{{ users|rejectattr('age', 'equalto', 30)|list }}{{ users|selectattr('name', 'in', ['Ann'])|list|count }}{{ l|select('==', 3)|list }}
{{ users|selectattr('ok')|length }}
{{ (users|selectattr('ok')|list)[0].name }}{{ users|selectattr('zz')|list }}{% set g = l|map('string') %}{{ g|join }}{{ g|join }}
{{ l|select('nosuch')|list }}
{{ l|first }}{{ l|last }}{{ []|first }}{{ ''|last }}{{ s|first }}{{ d|first }}{{ d|last }}{{ l|reverse|list }}{{ s|reverse }}{{ d|list }}{{ s|list }}{{ d|items|list }}{{ missing|items|list }}{{ missing|list }}
{{ 5|list }}
{{ 5|first }}
{{ l|length }}{{ s|length }}{{ u|length }}{{ d|count }}{{ missing|length }}{{ range(4)|length }}{{ d.items()|length }}
{{ 5|length }}
{{ none|length }}
{{ missing|default('x') }}{{ no|default('x') }}{{ no|default('x', true) }}{{ ''|d('y', boolean=true) }}{{ d.zz|default([1]) }}{{ missing|default }}
{{ '3'|int }}{{ ' 42 '|int }}{{ '3.9'|int }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ '0x1f'|int(base=16) }}{{ 'ff'|int(0, 16) }}{{ 3.9|int }}{{ -3.9|int }}{{ true|int }}{{ none|int }}{{ '1_000'|int }}{{ '1e3'|int }}{{ '3.5'|float }}{{ 'x'|float }}{{ 3|float }}{{ 'inf'|float }}{{ '1e5'|float }}{{ none|float(2) }}
{{ missing|int }}
{{ 2.5|round }}{{ 3.5|round }}{{ 2.675|round(2) }}{{ 42.55|round(1, 'floor') }}{{ 42.55|round(1, 'ceil') }}{{ 5|round }}{{ 1234.5|round(-2) }}{{ -1.5|abs }}{{ -3|abs }}{{ true|abs }}
{{ 'a'|abs }}
{{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent(width=3, first=true, blank=true) }}|{{ lines|indent('> ') }}|{{ ''|indent }}|{{ 'a\r\nb'|indent(1) }}
{{ 5|indent }}
{{ l|batch(2)|list }}{{ l|batch(2, 0)|list }}{{ [1, 2, 3, 4, 5]|slice(2)|list }}{{ [1, 2, 3, 4, 5]|slice(3, 'x')|list }}
{{ d|tojson }}{{ mixed|tojson }}{{ u|tojson }}{{ u|tojson(ensure_ascii=true) }}{{ html|tojson }}{{ (1, 2)|tojson }}{{ 1.0|tojson }}{{ '\x01\n\t\"\\/\x7f'|tojson }}{{ {}|tojson }}{{ [[], {}]|tojson(indent=2) }}{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ nested|tojson(indent=2) }}{{ d|tojson(indent=4, sort_keys=true) }}{{ l|tojson(separators=(',', ':')) }}{{ d|tojson(indent='--') }}{{ l|tojson(indent=0) }}{{ d|tojson(false, none, (',', ': ')) }}
{{ missing|tojson }}
{{ range(3)|tojson }}
{{ html|escape }}{{ html|e|e }}{{ html|safe }}{{ ('<'|safe) + '<' }}{{ '<' + ('<'|safe) }}{{ [html|safe] }}{{ html|escape|upper }}{{ '<'|forceescape }}{{ ('%s<'|safe) ~ '<' }}
{{ '%s-%s' % ('a', 1) }}{{ '%d%%' % 5 }}{{ '%05.2f|%-5s|%5s|%x|%X|%o|%e|%g|%+d|%r' % (3.14159, 'ab', 'cd', 255, 255, 8, 12345.678, 0.0001, 5, 'q') }}{{ '%(a)s' % {'a': 1} }}{{ '%s'|format('x') }}{{ '%(k)s'|format(k=1) }}{{ '%s' % [1] }}{{ '%3d|%-3d|%03d' % (1, 2, 3) }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '%d' % 'a' }}
{{ '{} {}'.format(1, 'a') }}{{ '{1}{0}{x}'.format(1, 2, x=3) }}{{ '{0[name]} {0.name}'.format(users[0]) }}{{ '{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:.2f}|{:,}|{:x}|{:+}|{!r}'.format('a', 'b', 'c', 'd', 42, 3.14159, 1234567, 255, 5, 'q') }}{{ '{{}}'.format() }}{{ '{:.1%}'.format(0.256) }}{{ '{:5}|{:5}'.format(1, 'a') }}
{{ '{}'.format() }}
{{ '{'.format() }}
{{ n is defined }}{{ missing is defined }}{{ missing is undefined }}{{ no is none }}{{ s is string }}{{ n is number }}{{ t is number }}{{ n is integer }}{{ t is integer }}{{ f is float }}{{ t is boolean }}{{ t is true }}{{ t is false }}{{ d is mapping }}{{ l is iterable }}{{ s is iterable }}{{ l is sequence }}{{ d is sequence }}{{ n is sequence }}{{ range is callable }}{{ n is callable }}{{ missing is iterable }}
{{ 3 is odd }}{{ 3 is even }}{{ 9 is divisibleby 3 }}{{ 3 is eq 3 }}{{ 3 is ne 3 }}{{ 3 is lt 4 }}{{ 3 is gt(4) }}{{ 3 is in [3] }}{{ 3 is not in [3] }}{{ 'a' is lower }}{{ 'A' is upper }}{{ none is sameas none }}{{ 1 is sameas true }}{{ 'upper' is filter }}{{ 'nosuch' is filter }}{{ 'odd' is test }}{{ 3 is not odd }}{{ not 3 is odd }}{{ 3 is ge 3 and 3 is le 3 }}
{{ 'a' is odd }}
{{ 3 is nosuch }}
{{ 3|nosuch }}
{% if z %}{{ 3|nosuch }}{% endif %}{{ 1|nosuch if z else 'fine' }}
{{ l.append(4) }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ l.append is defined }}{{ d.get is defined }}{{ s.__class__ is defined }}{{ d.items is mapping }}{{ d.keys() | list }}{{ d.get('b') }}{{ d.get('zz') }}{{ d.get('zz', 5) }}{{ l.index(1) }}{{ l.count(3) }}{{ d.copy() == d }}
{{ s.__class__.__name__ }}
{{ d.items() }}{{ d.keys() }}{{ d.values() }}{{ 'b' in d.keys() }}{{ 1 in d.values() }}{{ ('b', 1) in d.items() }}{{ d.items() | first }}
{{ items }}{{ items | length }}{{ {'items': 5}['items'] }}{{ {'x': 5}.items() | list }}
{{ dict(a=1, b=2) }}{{ dict([('x', 1)], y=2) }}{{ dict({'q': 1}) }}{{ dict() }}{{ namespace({'a': 1}).a }}
{{ {[1]: 2} }}
{{ {'a': 1}[[1]] }}|
{{ raise_exception('boom ' ~ n) }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %A %j %%') }}
{{ [1, 2] + [3] }}{{ (1,) + (2,) }}{{ 'ab' * 3 }}{{ [0] * 3 }}{{ 3 * 'x' }}{{ 'x' * -1 }}{{ true + true }}{{ 1 + 1.5 }}{{ 5 - 2.0 }}
{{ [1] + (2,) }}
{{ [1] * 1.5 }}
{{ -'a' }}
{{ 5() }}
{{ 'x'() }}
{{ s.nosuch() }}
{{ s.upper(1) }}
{{ s|upper(1) }}
{{ s|trim(x=1) }}
{{ s|truncate(8) }}{{ 'foo bar baz qux'|truncate(9) }}{{ 'foo bar baz qux'|truncate(9, true) }}{{ 'foo bar baz qux'|truncate(11, false, '..', 0) }}{{ s|wordcount }}
{% for g in users|groupby('age') %}{{ g[0] }}:{{ g[1]|map(attribute='name')|join('/') }};{% endfor %}{% for age, us in users|groupby('age') %}{{ age }}{{ us|length }}{% endfor %}
{% for x in l %}{% set last = x %}{% endfor %}{{ last is defined }}{% for x in l %}{% if loop.first %}{% set k = 1 %}{% endif %}{{ k is defined }}{% endfor %}
{% for m in users if m.ok is defined and m.ok %}{{ m.name }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}{% for k, v in d|items %}{{ k }}{% endfor %}
{% set ns = namespace(on=true) %}{% for x in l if ns.on %}{{ x }}{% if x == 1 %}{% set ns.on = false %}{% endif %}{% endfor %}
{% print n, s %}{% print 1 %}{{ n if n is number and n > 2 else 'small' }}{{ (n | string) + '!' }}{{ n ~ '!' }}{{ loop is defined }}
{% set l = [1] %}{% macro f() %}{{ l }}{% endmacro %}{{ f() }}{% set l = [2] %}{{ f() }}
{% if if in in %}a{% endif %}{% set if = 'a' %}{% set in = 'abc' %}{% if if in in %}b{% endif %}
{{ users[0]['name'] ~ users[1].name }}{{ users[-1]['age'] }}{{ (users | first).name }}{{ users | map(attribute='age') | sum }}{{ users[0] }}
{% for x in range(3) %}{% set s %}{{ x }}{% break %}{% endset %}{{ s }}{% endfor %}ok
""".strip("\n")

MULTI = [  # templates with newlines: whitespace control
    "  {% if t %}\n  x\n  {%- if t -%}  y  {%- endif %}\n\n  {{ n }}\n  {%+ if t %} z {% endif +%}\nend\n",
    "a\n{% set x = 1 %}\n\nb\n   {# c #}\nd\n\n",
    "{% for x in l %}\n  - {{ x }}\n{% endfor %}\n", "\n\n{%- if t %}\n\n  a  \n\n{%- endif -%}\n\n b\r\nc\rd",
    "x {% if t %} \n y{% endif %}\n\t{% if t %}\tz{% endif %}\n", "  {% raw %}\n a {{ b }}\n  {% endraw %}\n c",
    "{{ 1 }}\n{{ 2 -}}\n\n{{- 3 }}\n", "  {#- x -#}  \n  {# y #}  \n z {#+ w #}\n", "{% if t %}a\n{% else %}b{% endif %}\n\n",
    " \t{%- if t +%}\nq{% endif %}\n", "{% macro m() %}\n  x\n{% endmacro %}\n[{{ m() }}]\n",
]

BROKEN = [  # syntax errors
    "{{", "{{ a", "{% if %}", "{% if a %}", "{% endif %}", "{% for x in %}{% endfor %}", "{% for in x %}{% endfor %}",
    "{% nosuch %}", "{{ a | }}", "{{ a. }}", "{{ (a }}", "{{ a) }}", "{{ [a }}", "{{ 'a }}", "{{ a b }}", "{# x", "{% raw %}x",
    "{% set 1 = 2 %}", "{% set a %}", "{{ a is }}", "{{ 1 is odd is even }}", "{{ f(a=1, 2) }}", "{{ f(**a, b) }}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% call 5 %}{% endcall %}", "{% break %}", "{{ a if }}", "{{ not }}", "{{ 1 + }}",
    "{{ {'a' 1} }}", "{{ a[ }}", "{{ @ }}", "{{ '\\x4' }}", "{% for a in b %}{% else %}{% else %}{% endfor %}",
    "{% set a.b.c = 1 %}", "{% %}", "{{ }}", "{% if a %}{% endfor %}", "{% macro %}{% endmacro %}", "{{ a! }}",
    "{% do x %}", "{{ a[1:2:3:4] }}", "{% with a %}{% endwith %}", "{% filter %}{% endfilter %}",
]


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def strftime_now(format):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None).strftime(format)

    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
    return env


def main():
    env = environment()
    cases = []
    for template in CASES.split("\n") + MULTI + BROKEN:
        case = {"template": template}
        try:
            case["text"] = env.from_string(template).render(**DATA)
        except Exception as error:  # whatever it is, it is the oracle's answer
            case["error"] = True
            case["why"] = f"{type(error).__name__}: {error}".split("\n")[0][:120]
        cases.append(case)
    json.dump({"data": DATA, "now": NOW, "cases": cases}, sys.stdout, ensure_ascii=False, indent=0)
    print()


if __name__ == "__main__":
    main()
