"""Table 4: the number of sub-spaces.

python examples/paper/table4.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/table4.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("table4")
