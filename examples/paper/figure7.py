"""Figure 7: reduction ratio and orthogonal penalty.

python examples/paper/figure7.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/figure7.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("figure7")
