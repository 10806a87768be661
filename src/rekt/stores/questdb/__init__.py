"""QuestDB: a server to run (`server`), its SQL (`sql`), the tables (`tables`, `takeover`), rows in (`sink`), out (`reads`).

`questdb`, the client with numpy behind it, is imported by `sink` alone, and only when something is sent.
"""
