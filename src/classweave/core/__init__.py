"""The foundation every room stands on: database, tenancy, audit, events, jobs, files, settings."""
