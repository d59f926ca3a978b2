"""From a folder of YAML to a frozen Blueprint, or every finding at once."""
