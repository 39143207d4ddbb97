"""Identity: users, projects, roles, access keys, signatures."""
