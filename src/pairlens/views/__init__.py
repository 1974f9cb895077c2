"""Views: what is drawn for them, and the one place where pixels change."""
