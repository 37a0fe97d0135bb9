"""Numbers to labels; knows no files. scikit-learn lives here."""
