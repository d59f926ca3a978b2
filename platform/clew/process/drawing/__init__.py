"""Pictures of processes: swimlanes as Mermaid and SVG, the map of all processes, BPMN 2.0 for other tools."""
